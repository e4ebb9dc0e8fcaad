"""``sam2annotate crowd invite``: a way into a project, and one that is shut. Imports the library inside functions."""

from __future__ import annotations

import argparse

from ...errors import InputError
from .options import add_command, add_project_options, open_records, read

_EXAMPLES = """\
the link is told this once: only a hash of it is kept. An owner can make more invites in the page, and revoke them there.

examples:
  sam2annotate crowd invite livers --role owner
  sam2annotate crowd invite livers --uses 20 --days 30 --address https://boxes.hospital.example
  sam2annotate crowd invite livers --revoke 3            its number, as `crowd people` lists it, or the whole link
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "invite", "make a link by which somebody can join a project, or revoke one", _EXAMPLES)
    parser.set_defaults(run=run)
    add_project_options(parser)
    add = parser.add_argument
    add("--role", default="annotator", choices=("annotator", "reviewer", "owner"), help="in the project (default: annotator)")
    add("--days", type=float, default=14, help="that the link is open (default: 14)")
    add("--uses", type=int, default=1, metavar="N", help="how many people may join by it (default: 1)")
    add("--note", default="", help="for whom it is; only owners see it")
    add("--address", default="http://127.0.0.1:8780", metavar="URL", help="where people reach the server (default: http://127.0.0.1:8780)")
    add("--revoke", metavar="NUMBER|LINK", help="let nobody in by this invite any more, at once; who joined by it stays")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    if options.revoke is not None:
        return _revoke(options)
    if not options.address.startswith(("http://", "https://")):
        raise InputError(f"--address is where people reach the server, such as https://boxes.hospital.example, got '{options.address}'.")
    project = read(options.folder)
    with open_records([project], options.database) as records:
        token = records.make_invite(project.key, options.role, options.days, options.uses, options.note)
    print(f"{options.address.rstrip('/')}/#invite={token}")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    told = options.revoke.rpartition("#invite=")[2].strip()
    number = told.removeprefix("#")
    project = read(options.folder)
    with open_records([project], options.database) as records:
        revoked = records.revoke_invite(project.key, int(number) if number.isdecimal() and len(number) < 7 else told)
    print(f"By invite {revoked.number} ({revoked.role}{', ' if revoked.note else ''}{revoked.note}) nobody joins any more. Who did, stays.")
    return 0
