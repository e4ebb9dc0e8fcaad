"""The model weights that are known by name, where they lie on this computer, and whether a file is the one it claims to be.

Imports: standard library, errors and `model_configs`; neither torch nor sam2, and nothing here touches the network (`download` does).

Where the figures come from. URLs and parameter counts of SAM 2: the README of github.com/facebookresearch/sam2. Sizes and SHA-256: Git LFS
pointers on huggingface.co, cited at each entry. The same SHA-256 are checked by SlicerSegmentWithSAM (``SegmentWithSAM.py``; all of sam2.0)
and by micro-sam (``micro_sam/v2/util.py``; all of sam2.1).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ...errors import CheckpointError, OutputError
from .model_configs import ARCHITECTURE_NAMES, ARCHITECTURES, native_image_size

SUFFIXES = (".pt", ".safetensors")
_BLOCK_BYTES = 1 << 20
_LONGEST_HEADER_BYTES = 100 << 20


@dataclass(frozen=True)
class Checkpoint:
    """One file of model weights.

    Args:
        name: what the user calls it.
        architecture: one of `ARCHITECTURE_NAMES`; None if only the tensors can tell.
        file_name: name of the file in the cache folder. A full path, for weights that lie elsewhere.
        url: where to download it, or None.
        size_bytes: length of the file, or None if not published.
        sha256: lower-case hexadecimal SHA-256 of the file, or None if not published.
        license: license of the weights, as their authors state it.
        image_size: pixels per side that the weights were trained at, or None if the architecture is not known.
        parameters_millions: number of weights, in millions, or None if not known.
        source: where they come from, for credit.
        permissive: whether the license lets anybody use them for anything; a person agrees to any other before a download.
    """

    name: str
    architecture: str | None
    file_name: str
    url: str | None
    size_bytes: int | None
    sha256: str | None
    license: str
    image_size: int | None
    parameters_millions: float | None
    source: str
    permissive: bool = True


def _sam2(name: str, release: str, size_bytes: int, sha256: str, parameters_millions: float) -> Checkpoint:
    return Checkpoint(
        name=name,
        architecture=name,
        file_name=f"{name}.pt",
        url=f"https://dl.fbaipublicfiles.com/segment_anything_2/{release}/{name}.pt",
        size_bytes=size_bytes,
        sha256=sha256,
        license="Apache-2.0",
        image_size=ARCHITECTURES[name].native_image_size,
        parameters_millions=parameters_millions,
        source="https://github.com/facebookresearch/sam2",
    )


_ALL = (
    Checkpoint(
        name="bundled",
        architecture="compact",
        file_name=str(Path(__file__).resolve().parents[1] / "weights" / "compact.safetensors"),
        url=None,
        size_bytes=8361468,
        sha256="701c81597d07b8e88c3ac0688b04fa3d83706c9dee9be7a5af191b1104b77f16",
        license="Apache-2.0",
        image_size=ARCHITECTURES["compact"].native_image_size,
        parameters_millions=4.2,  # counted
        source="trained by this project, part of the package",
    ),
    # sam2.1: sizes and SHA-256 of all four from the pointers in huggingface.co/camenduru/sam2-1-hiera, commit cdd35a45.
    _sam2("sam2.1_hiera_tiny", "092824", 156008466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69", 38.9),
    # SHA-256 also on huggingface.co/facebook/sam2.1-hiera-small.
    _sam2("sam2.1_hiera_small", "092824", 184416285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38", 46.0),
    _sam2("sam2.1_hiera_base_plus", "092824", 323606802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5", 80.8),
    _sam2("sam2.1_hiera_large", "092824", 898083611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318", 224.4),
    # SHA-256: huggingface.co/facebook/sam2-hiera-tiny; size: stated beside the same hash in public code.
    _sam2("sam2_hiera_tiny", "072824", 155906050, "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125", 38.9),
    # SHA-256: huggingface.co/facebook/sam2-hiera-small; size: stated beside the same hash in public code.
    _sam2("sam2_hiera_small", "072824", 184309650, "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3", 46.0),
    # Pointer in huggingface.co/merve/sam2-hiera-base-plus, commit 838f0273.
    _sam2("sam2_hiera_base_plus", "072824", 323493298, "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071", 80.8),
    # Pointer in huggingface.co/spaces/sahirp/text_2_segment_any_vid, commit cd3178c9.
    _sam2("sam2_hiera_large", "072824", 897952466, "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b", 224.4),
    Checkpoint(
        name="medsam2",
        architecture="medsam2",
        file_name="MedSAM2_latest.pt",
        # A fixed revision, because the file named "latest" on the main branch may be replaced.
        url="https://huggingface.co/wanglab/MedSAM2/resolve/e4a6f35edd7e091619cbc0750f462f1574e23955/MedSAM2_latest.pt",
        # Both as several independent public projects pin them (two give size and hash, one of these with the revision above).
        size_bytes=156040129,
        sha256="c92743b99f00d078bf32a3afcc38aaa9faf1c1692dffe3eaa7a90938c1991060",
        # The card's metadata says cc-by-sa-4.0, its text restricts use; the card does not reconcile the two.
        license="CC-BY-SA-4.0, and by the model card for research and education only",
        image_size=ARCHITECTURES["medsam2"].native_image_size,
        parameters_millions=38.9,  # the architecture of sam2.1_hiera_tiny
        source="https://github.com/bowang-lab/MedSAM2",
        permissive=False,
    ),
    Checkpoint(
        name="edgetam",
        architecture="edgetam",
        file_name="edgetam.pt",
        # The file lies in the repository itself, so a commit fixes it.
        url="https://github.com/facebookresearch/EdgeTAM/raw/7711e012a30a2402c4eaab637bdb00a521302c91/checkpoints/edgetam.pt",
        # SHA-256 as a dozen public projects pin it, several beside this commit and beside revision f3a09791 of
        # huggingface.co/facebook/EdgeTAM (BoxMOT among them); the size beside the same hash in two of them.
        size_bytes=56116523,
        sha256="ed2d4850b8792c239689b043c47046ec239b6e808a3d9b6ae676c803fd8780df",
        license="Apache-2.0",
        image_size=native_image_size("edgetam"),
        parameters_millions=13.9,  # counted, of the model that these figures build
        source="https://github.com/facebookresearch/EdgeTAM",
    ),
)

CHECKPOINTS: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in _ALL}


def cache_folder() -> Path:
    """The folder of downloaded weights; it need not exist yet.

    The environment variable SAM2ANNOTATE_CACHE names it; without that it is the user's cache folder as the platform has it. (platformdirs
    would say the same; these lines are less than one more package to install into Slicer.)

    Raises:
        OutputError: if the user has no home folder and the variable is not set.
    """
    chosen = os.environ.get("SAM2ANNOTATE_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        if sys.platform == "win32":
            local = os.environ.get("LOCALAPPDATA")
            return (Path(local) if local else Path.home() / "AppData" / "Local") / "SAM2Annotate" / "Cache"
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "SAM2Annotate"
        xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "sam2annotate"
    except RuntimeError as exc:
        raise OutputError(f"No folder for model weights: {exc} Name one in the environment variable SAM2ANNOTATE_CACHE.") from exc


def find_checkpoint(name_or_path: str | Path, architecture: str | None = None) -> Checkpoint:
    """Tell which checkpoint is meant. No file is opened but the header of a .safetensors file.

    Args:
        name_or_path: name of a known checkpoint, with or without ".pt", or its file name; otherwise the path of a .pt or .safetensors
            file. A string that is both means the known one (write "./sam2_hiera_tiny.pt" for the file); a `Path` means the file.
        architecture: one of `ARCHITECTURE_NAMES` for a file. Without it the metadata of a .safetensors file tells, then a known file name.

    Returns:
        The known checkpoint, or one for the file, whose `architecture` is None if nothing above told it. The size and SHA-256 of a
        user's file are never taken from a known one: it may be fine-tuned under its old name.

    Raises:
        CheckpointError: if the name is unknown, the file unreadable, or the architecture unknown or in conflict with the name.
    """
    if isinstance(name_or_path, str):
        known = CHECKPOINTS.get(name_or_path.removesuffix(".pt")) or _known_file(name_or_path)
        if known is not None:
            if architecture not in (None, known.architecture):
                raise CheckpointError(
                    f"'{known.name}' is of architecture '{known.architecture}', not '{architecture}'. Leave the architecture out."
                )
            return known
    path = Path(name_or_path)
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise CheckpointError(
            f"Unknown model '{name_or_path}': neither a known name nor an existing {' or '.join(SUFFIXES)} file. "
            f"Known names: {', '.join(CHECKPOINTS)}."
        )
    return _own_file(path.absolute(), architecture)


def local_file(checkpoint: Checkpoint) -> Path | None:
    """The file of a checkpoint on this computer, or None if it is not here. Its content is not checked (`verify_file` does)."""
    path = cache_folder() / checkpoint.file_name  # a full path in file_name replaces the folder
    return path if path.is_file() else None


def require_local_file(checkpoint: Checkpoint) -> Path:
    """The file of a checkpoint on this computer.

    Raises:
        CheckpointError: if it is not here; the message says how to get it.
    """
    path = local_file(checkpoint)
    if path is not None:
        return path
    if checkpoint.url is None:
        remedy = "Install SAM2Annotate again" if checkpoint.name in CHECKPOINTS else "Put the file back or name another"
        raise CheckpointError(f"The weights of '{checkpoint.name}' are missing: expected the file {checkpoint.file_name}. {remedy}.")
    raise CheckpointError(
        f"The weights of '{checkpoint.name}' are not on this computer.",
        f"Run 'sam2annotate models download {checkpoint.name}', or "
        f"put the file {checkpoint.file_name} by hand into {cache_folder()} (from {checkpoint.url}).",
    )


def verify_file(checkpoint: Checkpoint, path: str | Path) -> None:
    """Check that a file has the size and SHA-256 of a checkpoint, as far as they are known.

    Raises:
        CheckpointError: if the file is missing, unreadable, truncated, or has other content.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if checkpoint.size_bytes is not None and size != checkpoint.size_bytes:
            fault = "truncated" if size < checkpoint.size_bytes else "too long"
            raise CheckpointError(
                f"'{path}' is {fault}: '{checkpoint.name}' has {checkpoint.size_bytes} bytes, the file {size}. Delete it and get it again."
            )
        if checkpoint.sha256 is not None and (digest := file_sha256(path)) != checkpoint.sha256:
            raise CheckpointError(
                f"'{path}' is not '{checkpoint.name}', or was altered: expected SHA-256 {checkpoint.sha256}, got {digest}. "
                "Do not use it; delete it and get it again."
            )
    except OSError as exc:
        raise CheckpointError(f"Cannot read the weights '{path}': {exc.strerror or exc}.") from exc


def file_sha256(path: str | Path) -> str:
    """Lower-case hexadecimal SHA-256 of a file, read block by block. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _known_file(file_name: str) -> Checkpoint | None:
    return next((checkpoint for checkpoint in _ALL if checkpoint.file_name == file_name), None)


def _own_file(path: Path, architecture: str | None) -> Checkpoint:
    metadata = _safetensors_metadata(path) if path.suffix.lower() == ".safetensors" else {}
    if architecture is None:
        architecture = metadata.get("architecture")
    if architecture is None and (known := _known_file(path.name)) is not None:
        architecture = known.architecture
    if architecture is not None and architecture not in ARCHITECTURE_NAMES:
        raise CheckpointError(f"Unknown architecture '{architecture}' for '{path}'. Known architectures: {', '.join(ARCHITECTURE_NAMES)}.")
    return Checkpoint(
        name=path.name,
        architecture=architecture,
        file_name=str(path),
        url=None,
        size_bytes=None,
        sha256=None,
        license=metadata.get("license", "not stated"),
        image_size=None if architecture is None else native_image_size(architecture),
        parameters_millions=None,
        source="a file of the user",
    )


def _safetensors_metadata(path: Path) -> dict[str, str]:
    """The metadata of a .safetensors file: 8 bytes of header length (little endian), then the header as JSON."""
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_LONGEST_HEADER_BYTES, path.stat().st_size - 8):
                raise ValueError("its header is longer than the file")
            metadata = json.loads(file.read(length)).get("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata are not text")
        return metadata
    except (OSError, ValueError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"'{path}' is not a readable .safetensors file: {exc}. It may be truncated; get it again.") from exc
