"""The command ``crowd`` and its list of sub-commands. Imports the commands' parsers."""

from __future__ import annotations

import argparse

from . import consensus, demo, export, init, invite, people, serve, status

_EXAMPLES = """\
examples, in the order in which a project goes:
  sam2annotate crowd demo
  sam2annotate crowd init livers --volumes scans/*.nii.gz --object Liver
  sam2annotate crowd invite livers --role owner --address https://boxes.hospital.example
  sam2annotate crowd serve livers --host 0.0.0.0 --certificate server.pem --key server.key
  sam2annotate crowd status livers
  sam2annotate crowd consensus livers
  sam2annotate crowd export livers -o labels
"""
_COMMANDS = (demo, init, serve, invite, people, status, consensus, export)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Register the command and its sub-commands."""
    text = "boxes from many people in a browser"
    parser = subparsers.add_parser(
        "crowd", help=text, description=f"{text[0].upper()}{text[1:]}, and labels that can be trusted.", epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="crowd_command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(commands)
