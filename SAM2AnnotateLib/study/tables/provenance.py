"""Tables of how results came about: settings, versions, weights, cases, runs. Imports engine, study.folder, study.results."""

from __future__ import annotations

import itertools
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ...engine.models.checkpoints import file_sha256, find_checkpoint, local_file
from ..records.results import StudyResults
from .tables import MOST_SHOWN_ROWS, Column, Table

if TYPE_CHECKING:
    from ..records.folder import Study

KILLED, GOES_ON = "killed", "goes on"  # how a run ended that does not say so itself
_PACKAGES = (
    "SAM2Annotate",
    "numpy",
    "scipy",
    "SimpleITK",
    "torch",
    "sam2",
    "nnunetv2",
    "matplotlib",
    "pillow",
    "PyYAML",
    "ray",
)


@dataclass(frozen=True)
class Run:
    """One start of a study.

    Args:
        started: as the log has it.
        last: time of its last event.
        ended: how it ended, in words.
        units: units that it finished.
        failed: units that failed.
        unit_seconds: of its finished units together; more than the time passed if several ran at once.
    """

    started: str
    last: str
    ended: str
    units: int
    failed: int
    unit_seconds: float

    @property
    def minutes(self) -> float:
        """From its first to its last event."""
        return (datetime.fromisoformat(self.last) - datetime.fromisoformat(self.started)).total_seconds() / 60


def runs_of(events: Sequence[Mapping[str, Any]], running: bool = False) -> list[Run]:
    """The runs that a log tells of. One that tells no end was killed, unless it is the last and the study is `running`."""
    starts = [at for at, event in enumerate(events) if event["event"] == "run started"]
    runs = []
    for start, stop in itertools.pairwise([*starts, len(events)]):
        own = events[start:stop]
        finished = [event for event in own if event["event"] == "unit finished"]
        ends = [event["event"] for event in own if event["event"].startswith("run ") and event["event"] != "run started"]
        ended = ends[-1].removeprefix("run ") if ends else (GOES_ON if running and stop == len(events) else KILLED)
        failed = sum(event["event"] == "unit failed" for event in own)
        seconds = sum(float(event.get("seconds") or 0) for event in finished)
        runs.append(Run(own[0]["time"], own[-1]["time"], ended, len(finished), failed, seconds))
    return runs


def units_done_twice(events: Sequence[Mapping[str, Any]]) -> int:
    """Units that the log saw finished more than once; after a kill there should be none, after a change of the settings there may."""
    counts = Counter((event.get("unit"), event.get("case")) for event in events if event["event"] == "unit finished")
    return sum(count > 1 for count in counts.values())


def run_table(runs: Sequence[Run]) -> Table:
    """One row a start."""
    rows = [(run.started, run.last, run.ended, run.minutes, run.units, run.failed, run.unit_seconds / 60) for run in runs]
    columns = (
        Column("started", "Started"),
        Column("last_event", "Last event"),
        Column("ended", "Ended"),
        Column("minutes", "Minutes to the last event", "minutes"),
        Column("units", "Units finished", "count"),
        Column("failed", "Failed", "count"),
        Column("unit_minutes", "Minutes of units", "minutes"),
    )
    return Table("runs", "Every start of the study, from its log.", columns, tuple(rows))


def progress_table(results: StudyResults) -> Table:
    """One row a unit of work: how many of its cases are finished."""
    rows = tuple((one.unit, one.finished, one.total) for one in results.progress)
    columns = (Column("unit", "Unit"), Column("finished", "Finished", "count"), Column("total", "Of", "count"))
    return Table("progress", "Units of work, a case each; a model is one.", columns, rows)


def version_table(study: Study, results: StudyResults) -> Table:
    """Packages as they are installed now, and the library's versions that the results were made by."""
    rows = [("results made by SAM2AnnotateLib", ", ".join(results.versions) or "nothing yet"), ("Python", platform.python_version())]
    rows += [(name, _version(name)) for name in _PACKAGES if name != "nnunetv2" or study.config.models]
    return Table("versions", "Versions at the time of this report.", (Column("what", "What"), Column("version", "Version")), tuple(rows))


def setting_table(study: Study) -> Table:
    """Model, weights, seeds and tolerances. Raises CheckpointError if the model is unknown."""
    config = study.config
    checkpoint = find_checkpoint(config.model.checkpoint, config.model.architecture)
    file = local_file(checkpoint)
    digest = checkpoint.sha256 or ("file missing" if file is None else file_sha256(file))
    rows: list[tuple[object, ...]] = [
        ("study", config.name),
        ("model", checkpoint.name),
        ("architecture", config.model.architecture or checkpoint.architecture or "told by the file"),
        ("weights, SHA-256", digest),
        ("image size", config.model.image_size or "the model's own"),
        ("precision", config.model.precision),
        ("seed of the annotator", config.seed),
        ("seed of the split", config.data.split_seed),
        ("tolerance of NSD (mm)", f"{config.tolerance_mm:g}"),
        ("errors left uncorrected up to (mm)", f"{config.correction_mm:g}"),
    ]
    if config.downstream is not None:
        rows.append(("seed of the nnU-Nets", config.downstream.seed))
    return Table("settings", "What decides the results.", (Column("what", "What"), Column("value", "Value")), tuple(rows))


def case_table(study: Study) -> Table:
    """One row a case: part and SHA-256 of both files."""
    digest = study.file_digest
    rows = [
        (
            case.case_id,
            case.patient,
            case.part,
            case.image.name,
            digest(case.image),
            case.labels.name,
            digest(case.labels),
        )
        for case in study.cases
    ]
    columns = (
        Column("case", "Case"),
        Column("patient", "Patient"),
        Column("part", "Part"),
        Column("image", "Image"),
        Column("image_sha256", "SHA-256 of the image", "digest"),
        Column("labels", "Labels"),
        Column("labels_sha256", "SHA-256 of the labels", "digest"),
    )
    return Table("cases", "The cases.", columns, tuple(rows), shown=len(rows) <= MOST_SHOWN_ROWS)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"rf-sam-2 {_version('rf-sam-2')}" if package == "sam2" else "not installed"
