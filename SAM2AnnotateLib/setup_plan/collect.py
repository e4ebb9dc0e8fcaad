"""Make an offline folder on a computer with internet: packages by pip, weights by the downloader, then the list. Imports its neighbors.

Packages that are published as source are built here into wheels that run on every system, so that the other computer builds nothing.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..engine.models.checkpoints import Checkpoint
from ..engine.models.download import download_checkpoint
from ..engine.models.transformers_models import ONLY_HERE
from ..errors import DownloadError, InputError, MissingPackageError, OutputError
from ..progress import CancelToken, ProgressCallback
from .install_plan import COMMON_VARIABLES
from .offline_folder import MANIFEST, OfflineFolder
from .packages import installed_packages, release_numbers
from .requirements import OPTIONAL, REQUIREMENTS, SERVER_REQUIREMENTS

# hydra-core (by way of omegaconf) takes no other release of this one, which is published as source alone.
_SOURCE_BROUGHT_ALONG = "antlr4-python3-runtime==4.9.*"
_SAM2 = "rf-sam-2"  # it names torchvision, which is not needed
_PART_OF_SLICER = {"numpy"}
_SYSTEM_OF_TAG = {"manylinux": "Linux", "musllinux": "Linux", "linux": "Linux", "win": "Windows", "macosx": "Darwin"}

PipRunner = Callable[[Sequence[str], Mapping[str, str]], tuple[int, str]]


def run_pip(arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str]:
    """Run this Python's pip in sight of the user; returns exit code and what it wrote to standard error."""
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, env={**os.environ, **variables}, stderr=subprocess.PIPE, stdout=sys.stderr, text=True, check=False)
    sys.stderr.write(done.stderr)
    return done.returncode, done.stderr


def collect_offline_folder(
    path: str | Path,
    checkpoints: Sequence[Checkpoint] = (),
    python_version: str | None = None,
    platforms: Sequence[str] = (),
    torch: str | None = None,
    torch_index: str | None = None,
    with_torch: bool = True,
    with_transformers: bool = False,
    run: PipRunner | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> OfflineFolder:
    """Fill a folder with all that a set-up needs. Started again, it keeps what is there and goes on.

    Args:
        path: the folder; created if missing. It must be empty, or one that was begun here.
        checkpoints: weights to add; the bundled model needs none.
        python_version: of the Python that it is for ("3.12"); None means this one's.
        platforms: pip's platform tags of the other computer ("manylinux_2_28_x86_64"); none means this one's. pip evaluates conditions on
            the system for the computer it runs on, so only tags of this system are accepted.
        torch: which torch ("torch==2.13.0"); None lets pip choose.
        torch_index: package index to take torch from; None means pip's own.
        with_torch: whether to include torch at all; not needed where PyTorch is installed already.
        with_transformers: whether to include the package transformers also where none of the checkpoints needs it.
        run: runs pip; None means `run_pip`.
        progress: told the bytes of weights.
        cancel: asked between files and while weights arrive.

    Raises:
        InputError: if a tag is of another system, or the folder holds something else.
        MissingPackageError: if this Python lacks setuptools.
        DownloadError: if pip or a download fails.
        OutputError: if the folder cannot be written.
        Cancelled: on request.
    """
    path, cancel = Path(path).absolute(), cancel or CancelToken()
    _require_this_system(platforms)
    _require_build_tools()
    _prepare(path)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    version = python_version or here
    target = ["--dest", str(path), "--find-links", str(path), "--only-binary", ":all:"]
    if version != here or platforms:
        target += ["--python-version", version, "--implementation", "cp"]
        target += [argument for tag in platforms for argument in ("--platform", tag)]
    common = dict(COMMON_VARIABLES)
    sources = [one.specifier for one in REQUIREMENTS if one.source_only]
    all_wheels = {one.name: one for one in (*REQUIREMENTS, *SERVER_REQUIREMENTS) if not one.source_only}
    wheels = [one.specifier for name, one in all_wheels.items() if name not in {"torch", _SAM2, *_PART_OF_SLICER}]
    if with_transformers or any(one.architecture in ONLY_HERE for one in checkpoints):
        wheels.append(next(one.specifier for one in OPTIONAL if one.name == "transformers"))
    sam2 = next(one.specifier for one in REQUIREMENTS if one.name == _SAM2)
    calls = [(["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(path), _SOURCE_BROUGHT_ALONG, *sources], "what is source")]
    if with_torch:
        index = ["--index-url", torch_index] if torch_index else []
        calls.append(
            (["download", *target, *index, torch or next(one.specifier for one in REQUIREMENTS if one.name == "torch")], "PyTorch")
        )
    calls.append((["download", *target, "--no-deps", sam2], "SAM 2"))
    calls.append((["download", *target, *wheels, "wheel", *sources], "the other packages"))
    for arguments, title in calls:
        cancel.raise_if_cancelled()
        code, errors = (run or run_pip)(arguments, common)
        if code != 0:
            reason = next((line for line in reversed(errors.splitlines()) if line.startswith("ERROR:")), f"pip ended with code {code}")
            raise DownloadError(f"pip could not get {title}: {reason} Start the command again; what has arrived is kept.")
        _require_portable(path)
    for checkpoint in checkpoints:
        if checkpoint.url is not None:
            download_checkpoint(checkpoint, path, progress, cancel)
    return OfflineFolder.write_manifest(path, version, platform.system())


def _require_this_system(platforms: Sequence[str]) -> None:
    for tag in platforms:
        system = next((name for start, name in _SYSTEM_OF_TAG.items() if tag.startswith(start)), None)
        if system != platform.system():
            raise InputError(
                f"The platform '{tag}' is not of this system ({platform.system()}), and pip can collect only for its own. "
                f"Run the command on a computer with {system or 'that system'} that has internet."
            )


def _require_build_tools() -> None:
    installed = installed_packages()
    setuptools = installed.get("setuptools")
    if setuptools is None or ("wheel" not in installed and release_numbers(setuptools.version) < (70, 1)):
        raise MissingPackageError("Collecting an offline folder needs setuptools 70.1 or newer.", "Install it with: pip install setuptools")


def _prepare(path: Path) -> None:
    begun = path / ".sam2annotate-offline"
    try:
        path.mkdir(parents=True, exist_ok=True)
        others = [one.name for one in path.iterdir()]
        if others and not begun.exists() and MANIFEST not in others:
            raise InputError(f"'{path}' is not empty and holds something else ({others[0]}). Name an empty or new folder.")
        begun.touch()
        (path / MANIFEST).unlink(missing_ok=True)  # it no longer fits once files are added
    except OSError as exc:
        raise OutputError(f"Cannot write to '{path}': {exc.strerror or exc}. Choose another folder.") from exc


def _require_portable(path: Path) -> None:
    """What was built here must not be tied to this computer."""
    sources = {one.name for one in REQUIREMENTS if one.source_only} | {_SOURCE_BROUGHT_ALONG.partition("==")[0].replace("-", "_")}
    tied = [one.name for one in path.glob("*.whl") if one.name.split("-")[0] in sources and not one.name.endswith("-none-any.whl")]
    if tied:
        raise DownloadError(f"'{tied[0]}' was built for this computer alone. Report this; it should be pure Python.")
