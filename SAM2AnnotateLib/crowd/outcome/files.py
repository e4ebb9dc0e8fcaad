"""The files of an outcome. Imports the rest of this room, masks, atomic_files, json_input and prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError, PromptError
from ...geometry import Box2D
from ...json_input import Fields, read_json
from ...prompts.mask_runs import mask_from_runs, mask_to_runs
from ..answers import Task
from ..masks import MaskedSlice
from .outcome import Outcome, RunKey

CONSENSUS_FOLDER = "consensus"
CONSENSUS_FILE = "consensus.json"
_MASKS = "masks"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One object's masks on one volume, as they are kept.

    Args:
        made_from: SHA-256 of what they were made from.
        slices: by position.
    """

    made_from: str
    slices: Mapping[int, MaskedSlice]


def run_file(project_folder: Path, key: RunKey) -> Path:
    """Where the masks of one object on one volume are kept."""
    return project_folder / CONSENSUS_FOLDER / _MASKS / key.volume / f"{key.object}.json"


def write_run(project_folder: Path, key: RunKey, run: StoredRun) -> None:
    """Keep masks. Raises OutputError if they cannot be written; what was there stands."""
    path = run_file(project_folder, key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{path.parent}': {exc.strerror or exc}.") from exc
    slices = [_slice_to_json(one) for _, one in sorted(run.slices.items())]
    content = {"format": _FORMAT, "volume": key.volume, "object": key.object, "made_from": run.made_from, "slices": slices}
    write_text_atomically(path, json.dumps(content) + "\n")


def read_run(project_folder: Path, key: RunKey) -> StoredRun | None:
    """Masks that were kept; None if there are none.

    Raises:
        InputError: if the file is damaged.
    """
    path = run_file(project_folder, key)
    if not path.is_file():
        return None
    what = f"the masks '{path}'"
    try:
        fields = Fields(read_json(path, what), what)
        fields.whole("format", _FORMAT, _FORMAT)
        slices = {one["position"]: _slice_from_json(one) for one in fields.items("slices")}
        return StoredRun(fields.text("made_from"), slices)
    except (InputError, KeyError, TypeError, ValueError, PromptError, AttributeError) as exc:
        raise InputError(f"The masks '{path}' are damaged ({exc}). Remove the file; 'crowd consensus' makes it anew.") from exc


def _slice_to_json(one: MaskedSlice) -> dict:
    return {
        "position": one.position, "mask": mask_to_runs(one.mask), "presence": one.presence, "predicted_iou": one.predicted_iou,
        "object_score": one.object_score, "crop": _box(one.crop), "boxes_rc": [_box(box) for box in one.boxes_rc],
        "box_share": one.box_share, "agreement": one.agreement, "disagreement": one.disagreement, "words": one.words,
        "people_dice": one.people_dice,
    }  # fmt: skip


def _slice_from_json(stored: dict) -> MaskedSlice:
    boxes = tuple(Box2D(*box) for box in stored["boxes_rc"])
    return MaskedSlice(**{**stored, "mask": mask_from_runs(stored["mask"]), "crop": Box2D(*stored["crop"]), "boxes_rc": boxes})


def _box(box: Box2D) -> list[int]:
    return [box.row_start, box.row_stop, box.col_start, box.col_stop]


def write_outcome(project_folder: Path, outcome: Outcome) -> Path:
    """Keep what an outcome is beside its masks; returns the file. Raises OutputError."""
    path = project_folder / CONSENSUS_FOLDER / CONSENSUS_FILE
    by_task: dict[Task, dict[str, str]] = {}
    for one in outcome.answers:
        by_task.setdefault(one.task, {})[one.person] = one.kind
    content = {
        "format": _FORMAT,
        "project": outcome.project,
        "digest": outcome.digest,
        "made": outcome.made.isoformat(timespec="seconds"),
        "way": outcome.way,
        "engine": outcome.engine,
        "decided": outcome.decided,
        "notes": list(outcome.notes),
        "people": [_person_to_json(outcome, person) for person in sorted(outcome.people)],
        "slices": [
            {
                "volume": task.volume, "object": task.object, "position": task.position, "presence": round(one.presence, 4),
                "boxes_rc": [[round(edge, 2) for edge in box.edges_rc_px] for box in one.counted_boxes],
                "source": one.source, "answers": by_task.get(task, {}), "agreement": one.agreement,
                "doubt": outcome.doubts[task].value, "reasons": list(outcome.doubts[task].reasons),
            }
            for task, one in sorted(outcome.consensus.items())
        ],
    }  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{path.parent}': {exc.strerror or exc}.") from exc
    write_text_atomically(path, json.dumps(content, indent=1) + "\n")
    return path


def _person_to_json(outcome: Outcome, person: str) -> dict:
    one = outcome.people[person]
    times = sorted(answer.answered for answer in outcome.answers if answer.person == person and answer.answered is not None)
    return {
        "person": person, "answers": one.answers, "known": one.accuracy.n,
        "first": times[0].isoformat(timespec="seconds") if times else None,
        "last": times[-1].isoformat(timespec="seconds") if times else None,
        "iou": round(one.accuracy.iou.value, 4), "without_looking": one.is_random, "words": list(one.words),
    }  # fmt: skip


def read_outcome(project_folder: Path) -> Fields:
    """What `write_outcome` kept, as it stands in the file.

    Raises:
        InputError: if there is none, or it is damaged.
    """
    path = project_folder / CONSENSUS_FOLDER / CONSENSUS_FILE
    if not path.is_file():
        raise InputError(f"There is no consensus of '{project_folder}' yet.", f"Make it: sam2annotate crowd consensus {project_folder}")
    what = f"the consensus '{path}'"
    fields = Fields(read_json(path, what), what)
    fields.whole("format", _FORMAT, _FORMAT)
    return fields


def remove_other_runs(project_folder: Path, keys: Sequence[RunKey]) -> None:
    """Remove masks of objects and volumes that are the project's no more."""
    wanted = {run_file(project_folder, key) for key in keys}
    for path in sorted((project_folder / CONSENSUS_FOLDER / _MASKS).glob("*/*.json")):
        if path not in wanted:
            path.unlink(missing_ok=True)
