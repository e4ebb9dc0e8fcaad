"""``sam2annotate self-check``: run a model on a small phantom and say in one line whether it works."""

from __future__ import annotations

import argparse
from dataclasses import asdict

_EXAMPLES = """examples:
  sam2annotate self-check
  sam2annotate self-check --checkpoint sam2.1_hiera_tiny --device cuda
The exit code is 0 if all is well, else 2.
"""


def add_parser(subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "self-check", help="say in one line whether the model runs here", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter, description="Run a model on a small phantom, in a process of its own.",
    )  # fmt: skip
    parser.add_argument("--checkpoint", default="bundled", metavar="NAME|PATH", help="model to run (default: bundled)")
    parser.add_argument("--adapter", metavar="OBJECT", help="also ask whether this file of 'sam2annotate adapt' belongs to the model")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu (default: auto)")
    parser.add_argument("--json-lines", action="store_true", help="print the result as JSON, for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ..self_check import self_check
    from .json_lines import cancelled_with_input, say

    cancel = cancelled_with_input() if options.json_lines else None
    result = self_check(checkpoint=options.checkpoint, device=options.device, cancel=cancel, adapter=options.adapter)
    if options.json_lines:
        say("self-check", **asdict(result))
    else:
        print(result.line)
    return 0 if result.ok else 2
