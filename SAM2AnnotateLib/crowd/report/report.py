"""Write the report: a page that stands alone, and a CSV for each table. Imports the rest of this room, atomic_files; Jinja inside."""

from __future__ import annotations

import math
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import OutputError
from ...optional_imports import import_for
from ..outcome import CONSENSUS_FOLDER, Outcome
from ..outcome.queue import DOUBTFUL
from ..project import CrowdProject
from .strips import COLORS, strips_of
from .tables import agreement_table, people_table, slice_table, volume_table

REPORT_FILE = "report.html"
_TEMPLATE = Path(__file__).with_name("page.html.jinja")
_WAYS = {
    "memory": "the consensus boxes prompted the model's memory through each volume",
    "slice": "each consensus box by itself, slice by slice",
    "best": "of several people's boxes the one that the model expects most of, slice by slice",
    "majority": "each person's boxes by themselves, the masks joined by majority",
    "staple": "each person's boxes by themselves, the masks joined by STAPLE",
    "": "no masks were made",
}


def write_report(project: CrowdProject, outcome: Outcome) -> Path:
    """Write the page and the tables into the project's folder of the consensus; each file whole, the page last.

    Only pseudonyms stand in it. The same outcome gives the same bytes.

    Returns:
        The page.

    Raises:
        MissingPackageError: if Jinja is not installed.
        OutputError: if it cannot be written.
    """
    jinja2 = import_for("A crowd's report", "jinja2", "pip install jinja2")
    tables = [volume_table(project, outcome), people_table(outcome), agreement_table(project, outcome), slice_table(project, outcome)]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=project.title,
        lead=_lead(project, outcome),
        findings=_findings(project, outcome),
        notes=outcome.notes,
        tables={table.name: table for table in tables},
        strips=strips_of(project, outcome),
        colors=COLORS,
        doubtful=DOUBTFUL,
        details=_details(outcome),
    )
    folder = project.folder / CONSENSUS_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{folder}': {exc.strerror or exc}.") from exc
    for table in tables:
        write_text_atomically(folder / f"{table.name}.csv", table.csv_text())
    write_text_atomically(folder / REPORT_FILE, page)
    return folder / REPORT_FILE


def _lead(project: CrowdProject, outcome: Outcome) -> str:
    asked = [task for task in project.tasks() if task not in outcome.known]
    answered = sum(task not in outcome.known for task in outcome.consensus)
    answers, slices = _counted(len(outcome.answers), "answer"), _counted(len(asked), "slice")
    people = "1 person" if len(outcome.people) == 1 else f"{len(outcome.people)} people"
    objects, volumes = _counted(len(project.objects), "object"), _counted(len(project.volumes), "volume")
    return f"{answers} by {people} on {answered} of {slices}, {objects} on {volumes}. Masks: {_WAYS[outcome.way]}."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _findings(project: CrowdProject, outcome: Outcome) -> list[str]:
    """What a reader should know first."""
    open_doubts = [task for task, one in outcome.doubts.items() if one.value >= DOUBTFUL]
    waiting = "1 slice is in doubt and waits" if len(open_doubts) == 1 else f"{len(open_doubts)} slices are in doubt and wait"
    said = [f"{waiting} for a reviewer; {outcome.decided} {'is' if outcome.decided == 1 else 'are'} decided."]
    random = sorted(one.person for one in outcome.people.values() if one.is_random)
    if random:
        said.append(f"Answers without looking, or on the wrong side, by {', '.join(random)}: look at these people's answers first.")
    others = sorted(one.person for one in outcome.people.values() if one.words and not one.is_random)
    if others:
        said.append(f"Something {'else ' if random else ''}stands out with {', '.join(others)}: see the table of people.")
    if not random and not others:
        said.append("Nothing stands out with anybody.")
    names = {one.key: one.name for one in project.objects}
    for one in outcome.agreements:
        if not one.volume and not math.isnan(one.alpha.value):
            said.append(
                f"Agreement on where '{names.get(one.object, one.object)}' is: alpha {one.alpha.text}, "
                "of which 1 is perfect and 0 is chance. "
                f"Two people's boxes overlap by an IoU of {one.box_iou:.2f} in the mean."
            )
    missing = sum(1 for one in outcome.consensus.values() if one.present and not one.boxes)
    if missing:
        shown = "1 slice shows" if missing == 1 else f"{missing} slices show"
        said.append(f"{shown} an object, by those beside, that nobody drew there.")
    return said


def _details(outcome: Outcome) -> list[tuple[str, str]]:
    rows = [
        ("Made", outcome.made.isoformat(timespec="seconds")),
        ("Way from boxes to masks", _WAYS[outcome.way]),
        ("SHA-256 of answers, known answers and decisions", outcome.digest),
    ]
    rows += [(name.replace("_", " ").capitalize(), str(value)) for name, value in (outcome.engine or {}).items() if value is not None]
    return rows
