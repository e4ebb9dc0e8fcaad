"""The sample case that ships with the extension: where it lies, and its entry in Slicer's Sample Data module. Imports that module, late."""

from __future__ import annotations

import logging
from pathlib import Path

import SAM2AnnotateLib

SAMPLE_NAME = "CT sarcoma"
SAMPLE_NODE_NAME = "CtSarcoma003"
SAMPLE_CATEGORY = "SAM2Annotate"

# Under this name Sample Data keeps its copy, in a folder that it shares with all other samples.
_CACHED_FILE_NAME = "SAM2Annotate_ct_sarcoma_003.nii.gz"
# With it Sample Data notices an incomplete or outdated copy and makes another.
_IMAGE_SHA256 = "1a762c2dbd46738a76386b8c2fd246709c0ca5d5641c012ed8f5153fd0382083"


def sampleFolder() -> Path:
    """The folder of the case, beside the library in a checkout, a build and an installed extension: image.nii.gz and label.nii.gz."""
    return Path(SAM2AnnotateLib.__file__).resolve().parent / "sample_data" / "ct_sarcoma_003"


def registerSampleData(iconPath: str) -> bool:
    """Offer the case in the Sample Data module; to be called once Slicer has started up, when that module can be imported.

    Calling it again, as reloading the module does, adds no second entry.

    Args:
        iconPath: picture for the button, a PNG file.

    Returns:
        Whether the entry is there. It is not where this Slicer was built without Sample Data, or the case is not installed: the log says
        which, and everything else works.
    """
    try:
        import SampleData  # Slicer's own module, not this file
    except ImportError:
        logging.info("SAM2Annotate: this Slicer has no Sample Data module; the sample case is offered on the module's own panel only.")
        return False
    image = sampleFolder() / "image.nii.gz"
    if not image.is_file():
        logging.warning("SAM2Annotate: expected the sample case at '%s', found no file. Install the extension again.", image)
        return False
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=SAMPLE_CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=iconPath,
        uris=image.as_uri(),
        fileNames=_CACHED_FILE_NAME,
        nodeNames=SAMPLE_NODE_NAME,
        loadFileType="VolumeFile",
        checksums=f"SHA256:{_IMAGE_SHA256}",
    )
    return True
