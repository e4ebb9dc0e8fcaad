"""``sam2annotate crowd people``: who is who, invites, a new password, shutting somebody out. Imports the library inside functions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import add_command, add_project_options, aligned, open_records, read

if TYPE_CHECKING:
    from ...crowd.records import Invite

_EXAMPLES = """\
it works on a running server, too: who is shut out, or has a new password, is signed out at once. Answers stay.

examples:
  sam2annotate crowd people livers                          who is who, and the invites; give the list to nobody
  sam2annotate crowd people livers --new-password "Anna B"  prints it, this once
  sam2annotate crowd people livers --shut-out "Anna B"
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "people", "who is who in a project, and new passwords", _EXAMPLES)
    parser.set_defaults(run=run)
    add_project_options(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--new-password", metavar="NAME", help="give somebody a new password and print it, this once")
    group.add_argument("--shut-out", metavar="NAME", help="let somebody in no more; what they answered stays")
    group.add_argument("--let-in", metavar="NAME", help="take that back")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    project = read(options.folder)
    with open_records([project], options.database) as records:
        if options.new_password:
            print(records.new_password(project.key, options.new_password))
        elif options.shut_out or options.let_in:
            name = options.shut_out or options.let_in
            records.set_disabled(project.key, name, disabled=bool(options.shut_out))
            print(f"'{name}' is {'let in no more' if options.shut_out else 'let in again'}.")
        else:
            rows: list[tuple[str, ...]] = [("name", "pseudonym", "role", "")]
            shut_out = records.disabled(project.key)
            for member in records.members(project.key):
                state = "shut out" if member.person in shut_out else ""
                rows.append((member.person.name, member.person.pseudonym, member.role, state))
            print("\n".join(aligned(rows)))
            if invites := records.invites(project.key):
                print("\n" + "\n".join(_table_of(invites)))
    return 0


def _table_of(invites: list[Invite]) -> list[str]:
    rows: list[tuple[str, ...]] = [("invite", "role", "made", "until", "uses left", "", "note")]
    for one in invites:
        state = one.state if one.revoked is None else f"revoked {one.revoked.astimezone():%Y-%m-%d %H:%M}"
        days = (f"{when.astimezone():%Y-%m-%d}" for when in (one.created, one.expires))
        rows.append((str(one.number), one.role, *days, str(one.uses_left), state, one.note))
    return aligned(rows)
