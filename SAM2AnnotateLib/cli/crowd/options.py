"""Options that several crowd commands share, and how they open a project. Imports the library inside functions."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError

if TYPE_CHECKING:
    from ...crowd.project import CrowdProject
    from ...crowd.records import CrowdRecords

DATABASE_VARIABLE = "SAM2ANNOTATE_DATABASE"


def add_command(commands, name: str, text: str, epilog: str = "") -> argparse.ArgumentParser:
    """A sub-command's parser."""
    return commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_project_options(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """The project's folder, or several, and ``--database``."""
    if several:
        parser.add_argument("folders", metavar="FOLDER", type=Path, nargs="+", help="of a project, or of several")
    else:
        parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the project")
    parser.add_argument(
        "--database",
        metavar="ADDRESS",
        help="where answers are kept: a SQLite file, or postgresql://USER:PASSWORD@HOST/NAME (default: the environment variable "
        f"{DATABASE_VARIABLE}, else 'database' in project.yaml, else crowd.sqlite in the folder)",
    )


def read(folder: Path) -> CrowdProject:
    """The project in a folder; says on standard error which volumes are read for the first time."""
    from ...crowd.project import read_project

    return read_project(folder, lambda line: print(line, file=sys.stderr, flush=True))


def database_of(projects: list[CrowdProject], given: str | None) -> str | Path:
    """Where answers are kept.

    Raises:
        InputError: if several projects are to share one and none is given, or they name different ones.
    """
    from ...crowd.records import DATABASE_FILE

    given = given or os.environ.get(DATABASE_VARIABLE)
    if given:
        return given
    named = {project.database for project in projects}
    if len(named) == 1 and None not in named:
        found = named.pop()
        return found if found and "://" in found else projects[0].folder / str(found)
    if len(projects) > 1:
        raise InputError(
            "Several projects that are served together share one database, and these do not say which.",
            f"Give --database, or set {DATABASE_VARIABLE}, or write the same 'database' into each project.yaml.",
        )
    return projects[0].folder / DATABASE_FILE


def open_records(projects: list[CrowdProject], given: str | None, may_upgrade: bool = False) -> CrowdRecords:
    """The database, with these projects in it.

    A project that is there already stays as it is: what project.yaml says now counts from the next start of the server on, so that a server
    that runs never meets tasks that it does not know.

    Args:
        projects: read already.
        given: ``--database``.
        may_upgrade: whether an older database is brought to this version's form; says on standard error where it was copied to before.

    Raises:
        InputError: if the database is newer than this program, or older and may not be upgraded.
        OutputError: if it cannot be opened or written.
    """
    from ...crowd.records import CrowdRecords

    records = CrowdRecords.open(database_of(projects, given), may_upgrade=may_upgrade)
    try:
        if records.backup is not None:
            print(f"The database has this version's form now. As it was before: {records.backup}", file=sys.stderr)
        known = records.projects()
        for project in projects:
            if project.key not in known:
                records.add_project(project)
    except BaseException:
        records.close()
        raise
    return records


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines of a table; the first column to the left, the others to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
