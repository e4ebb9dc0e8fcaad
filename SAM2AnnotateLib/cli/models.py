"""``sam2annotate models``: what weights are known, which are here, how to get the others. Imports the registry inside functions."""

from __future__ import annotations

import argparse
import sys

from .values import progress_bar

_EXAMPLES = """examples:
  sam2annotate models                                 list the models
  sam2annotate models download sam2.1_hiera_tiny      fetch one; a broken download is taken up again
Without internet: put the file by hand into the folder that the list names.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "models", help="list model weights, or download some", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="List the models that are known by name, or download one.",
    )  # fmt: skip
    parser.add_argument("action", nargs="?", choices=("list", "download"), default="list")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the model to download")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..engine.checkpoints import CHECKPOINTS, cache_folder, find_checkpoint, local_file
    from ..engine.download import download_checkpoint
    from ..errors import InputError

    if options.action == "download":
        if options.name is None:
            raise InputError(f"Name the model to download: one of {', '.join(name for name, c in CHECKPOINTS.items() if c.url)}.")
        checkpoint = find_checkpoint(options.name)
        with progress_bar(f"Downloading {checkpoint.name}", "B") as show:
            path = download_checkpoint(checkpoint, progress=show)
        print(path)
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
