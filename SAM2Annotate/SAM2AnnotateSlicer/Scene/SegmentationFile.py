"""SegmentationFile: writing a segmentation to its .seg.nrrd file, whole or not at all, and why that cannot be done. Imports slicer."""

from __future__ import annotations

import os
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.atomic_files import replaced_atomically
from SAM2AnnotateLib.errors import OutputError

SUFFIX = ".seg.nrrd"
_OTHER_SUFFIXES = (".seg.nhdr", ".seg.vtm", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".vtm", ".seg")


def withSuffix(path: str) -> str:
    """The path with `SUFFIX`, in place of another one of pictures or segmentations."""
    return path if path.lower().endswith(SUFFIX) else withoutSuffix(path) + SUFFIX


def withoutSuffix(path: str) -> str:
    """The path without a suffix of pictures or segmentations."""
    other = next((suffix for suffix in (SUFFIX, *_OTHER_SUFFIXES) if path.lower().endswith(suffix)), "")
    return path[: len(path) - len(other)]


def storedPath(node) -> str:
    """The file that a segmentation was loaded from or last saved to; "" if it has none."""
    storageNode = node.GetStorageNode()
    return "" if storageNode is None else storageNode.GetFileName() or ""


def writeSegmentation(node, path: str) -> str:
    """Write a segmentation; returns why it was not written, "" if it was. If not, the node keeps its file, and every file is as before."""
    before = storedPath(node)
    reason = _whyUnfit(path) or _write(node, path)
    if node.GetStorageNode() is not None:
        node.GetStorageNode().SetFileName((before or None) if reason else path)
    return _("The segmentation was not written to '{path}': {reason}").format(path=path, reason=reason) if reason else ""


def _write(node, path: str) -> str:
    """Let Slicer write beside the file, then replace it; returns what went wrong, "" if nothing did."""
    try:
        with replaced_atomically(path) as partial:
            if not slicer.util.saveNode(node, str(partial)) or not partial.is_file():
                raise OutputError(_("Slicer could not write it; is there room on the disk? Its log has the details."))
    except OutputError as error:
        node.StorableModified()  # Slicer may take it for saved by now, and would let it go without a question
        return str(error)
    return ""


def _whyUnfit(path: str) -> str:
    """Why no segmentation can be written to a path; "" if nothing is known against it."""
    folder = Path(path).absolute().parent
    if not path.lower().endswith(SUFFIX):
        return _("only a file {suffix} keeps segments and review together.").format(suffix=SUFFIX)
    if not folder.is_dir():
        return _("the folder '{folder}' does not exist.").format(folder=folder)
    if Path(path).is_dir():
        return _("there is a folder of that name.")
    if not os.access(path if Path(path).exists() else folder, os.W_OK):
        return _("you may not write there.")
    return ""
