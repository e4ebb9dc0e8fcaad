"""``sam2annotate crowd status``: how far a project is. Imports the library inside functions."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from .options import add_command, add_project_options, aligned, open_records, read

if TYPE_CHECKING:
    from ...crowd.records import Progress


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "status", "how far a project is, by volume and by person")
    parser.set_defaults(run=run)
    add_project_options(parser)
    parser.add_argument("--json", action="store_true", help="for programs; people under their pseudonyms")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...crowd.outcome import strays

    project = read(options.folder)
    with open_records([project], options.database) as records:
        progress = records.progress(project.key)
        left_out = strays(project, records.answers(project.key))
    print(json.dumps(progress.to_json(), indent=1) if options.json else table_of(progress))
    for sentence in left_out:
        print(sentence, file=sys.stderr if options.json else sys.stdout)
    return 0


def table_of(progress: Progress) -> str:
    """For a terminal."""
    share = f" ({progress.answered / progress.wanted:.0%})" if progress.wanted else ""
    lines = [f"{progress.title}: {progress.answered} of {progress.wanted} answers{share}, {progress.to_review} slices to review", ""]
    rows: list[tuple[str, ...]] = [("volume", "tasks", "complete", "answers", "of")]
    rows += [(one.volume, str(one.tasks), str(one.complete), str(one.answered), str(one.wanted)) for one in progress.volumes]
    lines += aligned(rows)
    if progress.people:
        rows = [("person", "role", "answers", "known", "training", "aside", "last")]
        rows += [
            (
                one.pseudonym, one.role, str(one.answered), str(one.gold), str(one.training), str(one.aside),
                "never" if one.last is None else f"{one.last.astimezone():%Y-%m-%d %H:%M}",
            )
            for one in progress.people
        ]  # fmt: skip
        lines += ["", *aligned(rows)]
    else:
        lines += ["", "Nobody has joined yet: sam2annotate crowd invite FOLDER"]
    return "\n".join(lines)
