"""``sam2annotate offline-folder``: collect a set-up for a computer without internet, or check such a folder. Imports inside functions."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

from .json_lines import cancelled_with_input, say, say_progress
from .values import progress_bar

_EXAMPLES = """examples:
  sam2annotate offline-folder usb/sam2 --python-version 3.12
  sam2annotate offline-folder usb/sam2 --python-version 3.12 --model sam2.1_hiera_tiny --model medsam2
  sam2annotate offline-folder usb/sam2 --torch-index https://download.pytorch.org/whl/cpu     without CUDA: 200 MB instead of 3 GB
  sam2annotate offline-folder usb/sam2 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64    for an older Linux
  sam2annotate offline-folder usb/sam2 --model edgetam          with the package transformers, which runs it
  sam2annotate offline-folder usb/sam2 --check
Run it on a computer of the same system (Linux, Windows, macOS) as the one without internet. Slicer 5.10 has Python 3.12.
In Slicer: SAM2Annotate, Set-up, 'Use offline folder'.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "offline-folder", help="collect packages and weights for a computer without internet", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Collect what a set-up needs in a folder, with a list of sizes and SHA-256 that is compared where the folder is used.",
    )  # fmt: skip
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="where to put it; new, empty, or begun earlier")
    add("--model", action="append", default=[], metavar="NAME", help="add the weights of a model of 'sam2annotate models'; may be repeated")
    add("--python-version", metavar="X.Y", help="of the Python that it is for (default: the one running)")
    add("--platform", action="append", default=[], metavar="TAG", help="pip's platform tag of the other computer; may be repeated")
    add("--torch", metavar="SPECIFIER", help="which PyTorch, such as torch==2.13.0 (default: the newest)")
    add("--torch-index", metavar="URL", help="package index to take PyTorch from")
    text = "transformers: add that package, for models that it runs (it comes along by itself with a --model that needs it)"
    add("--package", choices=("auto", "sam2", "transformers"), default="auto", help=text)
    add("--without-torch", action="store_true", help="leave PyTorch out, where it is installed already")
    add("--check", action="store_true", help="only compare an existing folder with its list")
    add("--json-lines", action="store_true", help="print progress and result as JSON, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    import re

    from ..engine.models.checkpoints import find_checkpoint
    from ..errors import InputError
    from ..setup_plan import OfflineFolder
    from ..setup_plan.collect import collect_offline_folder

    if options.python_version is not None and not re.fullmatch(r"3\.\d+", options.python_version):
        raise InputError(f"--python-version takes major and minor version, such as 3.12; got '{options.python_version}'.")
    cancel = cancelled_with_input() if options.json_lines else None
    with nullcontext(say_progress) if options.json_lines else progress_bar("Offline folder", "B") as show:
        if options.check:
            folder = OfflineFolder.open(options.folder)
            folder.verify(show, cancel)
        else:
            folder = collect_offline_folder(
                options.folder,
                [find_checkpoint(name) for name in options.model],
                options.python_version,
                options.platform,
                options.torch,
                options.torch_index,
                with_torch=not options.without_torch,
                with_transformers=options.package == "transformers",
                progress=show,
                cancel=cancel,
            )
    files = folder.files or ()
    size_mb = sum(one.size_bytes for one in files) / 1e6
    if options.json_lines:
        say("offline-folder", path=str(folder.path), files=len(files), size_mb=size_mb, listed=folder.files is not None)
    elif folder.files is None:
        print(f"{folder.path}: no list to compare with (it was put together by hand)")
    else:
        print(f"{folder.path}: {len(files)} files, {size_mb:.0f} MB, for Python {folder.python_version} on {folder.system}")
    return 0
