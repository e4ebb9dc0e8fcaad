"""``sam2annotate crowd consensus``: what the answers mean together. Imports the library inside functions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine_options import add_engine_options, engine_from
from .options import add_command, add_project_options, open_records, read

if TYPE_CHECKING:
    from ...crowd.project import CrowdProject
    from ...crowd.records import CrowdRecords
    from ...progress import Progress

_WAYS = ("memory", "slice", "best", "majority", "staple")  # crowd.outcome.WAYS, which is imported only to run; a test compares them
_SECONDS_BETWEEN = 10.0
_EXAMPLES = """\
the consensus, masks and report stand in FOLDER/consensus. What was stopped goes on where it was; answers may come meanwhile.

ways from boxes to masks:
  memory     the consensus boxes prompt the model's memory through the volume: slices agree with their neighbors, gaps are bridged
  slice      each consensus box by itself
  best       of several people's boxes the one that the model expects most of, slice by slice (study C)
  majority   each person's boxes by themselves, masks joined by majority
  staple     the same, joined by STAPLE

examples:
  sam2annotate crowd consensus livers
  sam2annotate crowd consensus livers --way slice
  sam2annotate crowd consensus livers --without-model       report and reviewer's queue from boxes alone, in seconds
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "consensus", "what all answers mean together: boxes, masks, doubts, a report", _EXAMPLES)
    parser.set_defaults(run=run)
    add_project_options(parser)
    add = parser.add_argument
    add("--way", default="memory", choices=_WAYS, help="from boxes to masks (default: memory)")
    add("--without-model", action="store_true", help="no masks: consensus of boxes, doubts and report alone; needs no PyTorch")
    add("--doubtful", type=float, default=None, metavar="DOUBT", help="slices from this doubt on go to the reviewer (default: 0.35)")
    add_engine_options(parser)


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...atomic_files import require_writable_folder, sole_writer
    from ...crowd.outcome import CONSENSUS_FOLDER, doubtful_slices, make_outcome
    from ...crowd.outcome.queue import DOUBTFUL
    from ...crowd.report import write_report
    from ...errors import InputError

    least = DOUBTFUL if options.doubtful is None else options.doubtful
    if not 0 <= least <= 1:
        raise InputError(f"--doubtful is a doubt from 0 to 1, got {least:g}.")
    project = read(options.folder)
    place = project.folder / CONSENSUS_FOLDER
    require_writable_folder(place / "report.html") if place.is_dir() else require_writable_folder(place)
    with sole_writer(place), open_records([project], options.database) as records:
        said = said_in(records, project)
        outcome = make_outcome(
            project, said, None if options.without_model else lambda: engine_from(options), options.way,
            progress=_teller(), say=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
        queue = doubtful_slices(project, outcome, least)
        records.set_doubtful(project.key, queue)
        page = write_report(project, outcome)
        came = len(records.answers(project.key)) - len(said.answers)
    present = sum(one.present for one in outcome.consensus.values())
    print(f"'{project.title}': {len(outcome.answers)} answers on {len(outcome.consensus)} slices, {present} with an object.")
    if outcome.masks:
        print(f"{sum(len(run) for run in outcome.masks.values())} masks by '{outcome.way}'.")
    found = sorted(one.person for one in outcome.people.values() if one.is_random)
    if found:
        print(f"Answers without looking, or on the wrong side: {', '.join(found)}.")
    for note in outcome.notes:
        print(note)
    print("1 slice is" if len(queue) == 1 else f"{len(queue)} slices are", "in doubt, for a reviewer in the page.")
    if came > 0:
        print(f"{came} answer{'' if came == 1 else 's'} came meanwhile: run it again to count them.")
    print(f"Report: {page}")
    return 0


def said_in(records: CrowdRecords, project: CrowdProject):
    """All that the people of a project have said by now."""
    from ...crowd.outcome import Said

    key = project.key
    return Said(tuple(records.answers(key)), records.gold_answers(key), records.decisions(key))


def _teller() -> Callable[[Progress], None]:
    """Tells on standard error how far it is and about how long it will take, every few seconds."""
    last = time.monotonic()
    first: tuple[float, int] | None = None  # when the model's first step was done, so that loading it counts for nothing

    def tell(progress: Progress) -> None:
        nonlocal last, first
        now = time.monotonic()
        if not progress.total or not progress.done:
            return
        first = first or (now, progress.done)
        if now - last < _SECONDS_BETWEEN or progress.done == first[1]:
            return
        last = now
        left = (now - first[0]) * (progress.total - progress.done) / (progress.done - first[1])
        print(f"{progress.done / progress.total:.0%}, about {left:.0f} s left", file=sys.stderr, flush=True)

    return tell
