"""``sam2annotate``: parse, call one command, turn the library's errors into one line. Imports the commands' parsers and errors."""

from __future__ import annotations

import io
import re
import sys

from .. import __version__
from ..errors import Cancelled, SAM2AnnotateError
from ..processors import wait_patiently
from . import benchmark, demo, dicom_seg, dicom_seg_job, models, offline_folder, score, segment, self_check, serve, study
from .crowd import crowd
from .json_lines import say_failed
from .learning import adapt
from .nnunet import nnunet
from .one_line_parser import ERROR_PREFIX, OneLineParser
from .prototypes import propose, prototype
from .server import check as server_check

_COMMANDS = (
    segment,
    adapt,
    score,
    prototype,
    propose,
    nnunet,
    dicom_seg,
    dicom_seg_job,
    study,
    serve,
    crowd,
    server_check,
    models,
    offline_folder,
    self_check,
    benchmark,
    demo,
)
_EXIT_BAD_INPUT, _EXIT_STOPPED = 2, 130


def build_parser() -> OneLineParser:
    """The parser of all commands."""
    parser = OneLineParser(
        prog="sam2annotate",
        description="One box to a 3-D mask on CT and MR with SAM 2.",
        epilog="Try it: sam2annotate demo",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if it worked, 2 for bad input or a result that could not be written (with one line on standard error), 130 if it was stopped.
        A command line that cannot be understood ends the program with 2 and one line, too.
    """
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    wait_patiently()
    options = build_parser().parse_args(_join_negative_values(sys.argv[1:] if arguments is None else arguments))
    try:
        return options.run(options)
    except (Cancelled, KeyboardInterrupt):
        print("sam2annotate: stopped.", file=sys.stderr)
        return _EXIT_STOPPED
    except (SAM2AnnotateError, OSError) as exc:  # OSError: the system refuses a file or folder in a way of its own
        problem = str(exc)
        if isinstance(exc, SAM2AnnotateError) and getattr(options, "json_lines", False):
            say_failed(exc)
    except MemoryError:
        problem = "Out of memory. Close other programs, or choose a smaller --image-size or --cache-mb."
    print(f"{ERROR_PREFIX}{' '.join(problem.split())}", file=sys.stderr)
    return _EXIT_BAD_INPUT


def _join_negative_values(arguments: list[str]) -> list[str]:
    """``--window -55,155`` as ``--window=-55,155``: argparse would take the value for an option."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-\d", argument) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
