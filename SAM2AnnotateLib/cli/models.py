"""``sam2annotate models``: what weights are known, which are here, how to get the others. Imports the registry inside functions.

With ``--json-lines`` progress is printed for programs, and the end of a download is ``{"type": "file", "path": "..."}``.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ..progress import CancelToken, ProgressCallback
from .json_lines import cancelled_with_input, say, say_progress
from .values import progress_bar

_EXAMPLES = """examples:
  sam2annotate models                                 list the models
  sam2annotate models download sam2.1_hiera_tiny      fetch one; a broken download is taken up again
  sam2annotate models import FOLDER                   copy the weights of an offline folder into the cache
Without internet: 'sam2annotate offline-folder', or put the file by hand into the folder that the list names.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "models", help="list model weights, or get some", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="List the models that are known by name, download one, or copy some from a folder.",
    )  # fmt: skip
    parser.add_argument("action", nargs="?", choices=("list", "download", "import"), default="list")
    parser.add_argument("name", nargs="?", metavar="NAME|FOLDER", help="model to download, or folder to import from")
    parser.add_argument("--json-lines", action="store_true", help="print progress and result as JSON, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..engine.checkpoints import CHECKPOINTS, cache_folder, find_checkpoint, local_file
    from ..engine.download import download_checkpoint
    from ..errors import InputError
    from ..setup_plan import OfflineFolder

    if options.action == "download":
        if options.name is None:
            raise InputError(f"Name the model to download: one of {', '.join(name for name, c in CHECKPOINTS.items() if c.url)}.")
        checkpoint = find_checkpoint(options.name)
        with _progress(options, f"Downloading {checkpoint.name}") as show:
            path = download_checkpoint(checkpoint, progress=show, cancel=_cancel(options))
        _say_file(options, path)
        return 0
    if options.action == "import":
        if options.name is None:
            raise InputError("Name the folder to import from.")
        with _progress(options, "Copying") as show:
            paths = OfflineFolder.open(options.name, for_packages=False).import_weights(show, _cancel(options))
        for path in paths:
            _say_file(options, path)
        return 0
    if options.name is not None:
        raise InputError("'models list' takes no name.")
    print(f"{'name':24s}{'parameters':>11s}{'pixels':>8s}{'size':>9s}  {'here':6s}license")
    for checkpoint in CHECKPOINTS.values():
        size = "?" if checkpoint.size_bytes is None else f"{checkpoint.size_bytes / 1e6:.0f} MB"
        parameters = "?" if checkpoint.parameters_millions is None else f"{checkpoint.parameters_millions:g} M"
        here = "yes" if local_file(checkpoint) else "no"
        print(f"{checkpoint.name:24s}{parameters:>11s}{checkpoint.image_size or '?':>8}{size:>9s}  {here:6s}{checkpoint.license}")
    print(f"\nDownloads are kept in {cache_folder()}", file=sys.stderr)
    return 0


def _progress(options: argparse.Namespace, what: str) -> AbstractContextManager[ProgressCallback]:
    return nullcontext(say_progress) if options.json_lines else progress_bar(what, "B")


def _cancel(options: argparse.Namespace) -> CancelToken | None:
    return cancelled_with_input() if options.json_lines else None


def _say_file(options: argparse.Namespace, path: Path) -> None:
    if options.json_lines:
        say("file", path=str(path))
    else:
        print(path)
