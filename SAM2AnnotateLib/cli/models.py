"""``sam2annotate models``: what weights are known, which are here, how to get the others. Imports the registry inside functions.

With ``--json-lines`` progress is printed for programs, and the end of a download is ``{"type": "file", "path": "..."}``.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import CancelToken, ProgressCallback
from .json_lines import cancelled_with_input, say, say_progress
from .values import progress_bar

if TYPE_CHECKING:
    from ..engine.models.checkpoints import Checkpoint

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
    parser.add_argument("--agree", action="store_true", help="you agree to the model's license, where it is not a permissive one")
    parser.add_argument("--json-lines", action="store_true", help="print progress and result as JSON, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..engine.models.checkpoints import CHECKPOINTS, cache_folder, find_checkpoint, local_file
    from ..engine.models.download import download_checkpoint
    from ..errors import InputError
    from ..setup_plan import OfflineFolder

    if options.action == "download":
        if options.name is None:
            raise InputError(f"Name the model to download: one of {', '.join(name for name, c in CHECKPOINTS.items() if c.url)}.")
        checkpoint = find_checkpoint(options.name)
        _require_agreement(checkpoint, options)
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


def _require_agreement(checkpoint: Checkpoint, options: argparse.Namespace) -> None:
    """Show the license before anything is fetched; who has not agreed to one that is not permissive is asked, or told how to.

    Raises:
        InputError: if nobody agreed.
    """
    from ..engine.models.checkpoints import local_file
    from ..errors import InputError

    if checkpoint.url is None or local_file(checkpoint) is not None:
        return
    if not options.json_lines:
        print(f"{checkpoint.name}: license {checkpoint.license} ({checkpoint.source})", file=sys.stderr)
    if checkpoint.permissive or options.agree:
        return
    if not options.json_lines and sys.stdin is not None and sys.stdin.isatty():
        print("Do you agree to this license? Type 'yes': ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() == "yes":
            return
    raise InputError(
        f"The license of '{checkpoint.name}' has to be agreed to: {checkpoint.license}, see {checkpoint.source}.",
        f"If you agree: sam2annotate models download {checkpoint.name} --agree",
    )


def _progress(options: argparse.Namespace, what: str) -> AbstractContextManager[ProgressCallback]:
    return nullcontext(say_progress) if options.json_lines else progress_bar(what, "B")


def _cancel(options: argparse.Namespace) -> CancelToken | None:
    return cancelled_with_input() if options.json_lines else None


def _say_file(options: argparse.Namespace, path: Path) -> None:
    if options.json_lines:
        say("file", path=str(path))
    else:
        print(path)
