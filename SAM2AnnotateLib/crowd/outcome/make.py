"""From a project's answers to its outcome. Imports the rest of this room and the rooms below, volume_io, propagation, engine's protocol."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from ...engine import EmbeddingStore, SegmentationEngine
from ...errors import InputError
from ...progress import CancelToken, Progress, ProgressCallback
from ...propagation import RegionPolicy, SliceEncoder
from ...volume_io import read_volume
from ..answers import Answer, GoldAnswer, Task
from ..consensus import ConsensusSlice, PersonAccuracy, consensus_of_all, people_accuracy
from ..masks import MaskedSlice, masks_by_people, masks_by_slice, masks_through_memory
from ..project import CrowdProject
from ..quality import agreements, doubts, people_report
from ..records import Decision
from .files import StoredRun, read_run, remove_other_runs, write_outcome, write_run
from .outcome import Outcome, RunKey

# From boxes to masks: ours, study C's on the consensus and on each person's best box, and people's own masks joined.
WAYS = ("memory", "slice", "best", "majority", "staple")
_VERSION = 2  # of how masks are made: raised where the same answers give others


@dataclass(frozen=True, eq=False)
class Said:
    """What a project's people have said so far.

    Args:
        answers: as they stand.
        gold: what is known.
        decisions: of reviewers.
    """

    answers: tuple[Answer, ...]
    gold: Mapping[Task, GoldAnswer]
    decisions: Mapping[Task, Decision]

    @property
    def digest(self) -> str:
        """SHA-256; the same for the same answers in any order."""
        rows: list[list] = [["answer", one.person, *_task(one.task), one.kind, _boxes(one.boxes_rc), one.training] for one in self.answers]
        rows += [["known", *_task(task), _boxes(one.boxes_rc)] for task, one in self.gold.items()]
        rows += [["decided", *_task(task), one.kind, _boxes(one.boxes_rc)] for task, one in self.decisions.items()]
        return _sha256(sorted(rows, key=json.dumps))


def make_outcome(
    project: CrowdProject,
    said: Said,
    load_engine: Callable[[], SegmentationEngine] | None,
    way: str = "memory",
    *,
    policy: RegionPolicy | None = None,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Work out consensus, masks and doubts, and keep them in the project's folder.

    Masks that are kept are taken again where nothing that they were made from has changed: answers, way and model. Stopped, everything
    that was finished is kept; what is asked again is what was not.

    Args:
        project: whose.
        said: by its people; answers that come meanwhile are left for the next time.
        load_engine: gives the model; None for the consensus of boxes alone.
        way: from boxes to masks, one of `WAYS`.
        policy: which part of a slice the model sees; by default around the object.
        cancel: asked before each step of the model.
        progress: told after each step of the model, over all objects and volumes.
        say: takes a line for each object and volume.

    Raises:
        InputError: if there is no answer yet, or the way is unknown.
        VolumeError: if a volume cannot be read.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
        OutputError: if it cannot be written.
    """
    if way not in WAYS:
        raise InputError(f"Unknown way from boxes to masks '{way}': expected one of {', '.join(WAYS)}.")
    answers = [one for one in said.answers if _is_of(project, one.task)]
    if not answers:
        raise InputError(f"Nobody has answered anything in '{project.key}' yet.", "Invite people: sam2annotate crowd invite FOLDER")
    accuracies = people_accuracy(answers, said.gold)
    decisions = {task: one for task, one in said.decisions.items() if _is_of(project, task)}
    consensus = consensus_of_all(answers, said.gold, decisions, accuracies)
    engine = load_engine() if load_engine is not None else None
    masks: dict[RunKey, dict[int, MaskedSlice]] = {}
    if engine is not None:
        maker = _Masks(project, engine, way, policy or RegionPolicy(), answers, consensus, accuracies)
        for key, found in maker.make(cancel, progress, say):
            masks[key] = found
        remove_other_runs(project.folder, list(masks))
    results = {Task(key.volume, key.object, position): one for key, run in masks.items() for position, one in run.items()}
    people = people_report(answers, consensus, accuracies, said.gold)
    real = [one for one in answers if one.task not in said.gold and not one.training]
    outcome = Outcome(
        project.key, said.digest, datetime.now(timezone.utc), way if engine is not None else "",
        None if engine is None else engine.describe(), tuple(real), consensus, people, tuple(agreements(real)), masks,
        doubts(consensus, real, people, results), len(decisions), (*strays(project, said.answers), *_notes(accuracies, len(said.gold))),
        frozenset(said.gold),
    )  # fmt: skip
    write_outcome(project.folder, outcome)
    return outcome


def _is_of(project: CrowdProject, task: Task) -> bool:
    """Whether volume and object are still the project's."""
    return any(one.key == task.volume for one in project.volumes) and any(one.key == task.object for one in project.objects)


def strays(project: CrowdProject, answers: Sequence[Answer]) -> tuple[str, ...]:
    """A sentence on answers that count no more because project.yaml names their volume or object no more, as after a renaming."""
    strays = [one.task for one in answers if not _is_of(project, one.task)]
    if not strays:
        return ()
    volumes = sorted({one.volume for one in strays} - {one.key for one in project.volumes})
    objects = sorted({one.object for one in strays} - {one.key for one in project.objects})
    gone = [f"{what} {', '.join(keys)}" for what, keys in (("volume", volumes), ("object", objects)) if keys]
    is_one = len(strays) == 1
    return (
        f"{len(strays)} answer{' is' if is_one else 's are'} left out: project.yaml names {' and '.join(gone)} no more. "
        "They are kept; give the key back to count them.",
    )


def _notes(accuracies: Mapping[str, PersonAccuracy], known: int) -> tuple[str, ...]:
    notes = []
    if not known:
        alone = "people are weighed by their agreement alone, which cannot find what all of them do wrong"
        notes.append(f"No slice with a known answer: {alone}.")
    few = [person for person, one in accuracies.items() if one.by == "nothing"]
    if few:
        who = "one person" if len(few) == 1 else f"{len(few)} people"
        notes.append(f"Of {who} nothing is known yet; they count as usual ones do.")
    return tuple(notes)


class _Masks:
    """The masks of a project, object by object."""

    def __init__(
        self,
        project: CrowdProject,
        engine: SegmentationEngine,
        way: str,
        policy: RegionPolicy,
        answers: Sequence[Answer],
        consensus: Mapping[Task, ConsensusSlice],
        accuracies: Mapping[str, PersonAccuracy],
    ):
        self._project, self._engine, self._way, self._policy = project, engine, way, policy
        self._weights = {person: one.weight for person, one in accuracies.items()}
        self._said: dict[RunKey, dict[int, ConsensusSlice]] = defaultdict(dict)
        self._answers: dict[RunKey, dict[int, list[Answer]]] = defaultdict(lambda: defaultdict(list))
        for task, one in sorted(consensus.items()):
            self._said[RunKey(task.volume, task.object)][task.position] = one
        for answer in sorted(answers, key=lambda one: (one.task, one.person)):
            key = RunKey(answer.task.volume, answer.task.object)
            said = self._said.get(key, {}).get(answer.task.position)
            if said is not None and said.source == "answers":
                self._answers[key][answer.task.position].append(answer)

    def make(
        self, cancel: CancelToken | None, progress: ProgressCallback | None, say: Callable[[str], None]
    ) -> Iterator[tuple[RunKey, dict[int, MaskedSlice]]]:
        """Masks of each object on each volume, as they are ready."""
        made_from = {key: self._made_from(key) for key in self._said}
        known = {key: self._kept(key, made_from[key]) for key in self._said}
        due = [key for key in self._said if known[key] is None]
        weights = {key: sum(2 if one.counted_boxes else 1 for one in self._said[key].values()) for key in due}
        done, total = 0, sum(weights.values())
        encoder: SliceEncoder | None = None
        volume = ""
        for number, key in enumerate(self._said, start=1):
            kept = known[key]
            if kept is not None:
                say(f"{number} of {len(self._said)}: {key.object} on {key.volume}: as before")
                yield key, dict(kept)
                continue
            if encoder is None or key.volume != volume:
                encoder, volume = self._encoder(key.volume), key.volume
            begun = done

            def told(step: Progress, begun: int = begun, weight: int = weights[key]) -> None:
                if progress is not None and step.total:
                    progress(Progress(begun + weight * step.done // step.total, total, "steps"))

            found = {one.position: one for one in self._run(encoder, key, cancel, told)}
            write_run(self._project.folder, key, StoredRun(made_from[key], found))
            done += weights[key]
            say(f"{number} of {len(self._said)}: {key.object} on {key.volume}: {len(found)} slices")
            yield key, found

    def _run(self, encoder: SliceEncoder, key: RunKey, cancel: CancelToken | None, progress: ProgressCallback) -> Iterator[MaskedSlice]:
        if self._way == "memory":
            return masks_through_memory(encoder, self._policy, self._said[key], cancel=cancel, progress=progress)
        if self._way == "slice":
            return masks_by_slice(encoder, self._policy, self._said[key], cancel=cancel, progress=progress)
        return self._by_people(encoder, key, cancel, progress)

    def _by_people(
        self, encoder: SliceEncoder, key: RunKey, cancel: CancelToken | None, progress: ProgressCallback
    ) -> Iterator[MaskedSlice]:
        """People's own boxes; slices that are decided or known by their final boxes."""
        final = {position: one for position, one in self._said[key].items() if one.final}
        yield from masks_by_slice(encoder, self._policy, final, cancel=cancel)
        answers = self._answers[key]
        if self._way == "best":
            yield from masks_by_slice(encoder, self._policy, answers, cancel=cancel, progress=progress)
        elif self._way == "staple":
            yield from masks_by_people(encoder, self._policy, answers, "staple", self._weights, cancel=cancel, progress=progress)
        else:
            yield from masks_by_people(encoder, self._policy, answers, "majority", self._weights, cancel=cancel, progress=progress)

    def _encoder(self, volume: str) -> SliceEncoder:
        one = self._project.volume(volume)
        return SliceEncoder(self._engine, read_volume(one.path), one.stack, one.mapping, EmbeddingStore())

    def _kept(self, key: RunKey, made_from: str) -> Mapping[int, MaskedSlice] | None:
        try:
            stored = read_run(self._project.folder, key)
        except InputError:  # damaged: it is made anew
            return None
        return stored.slices if stored is not None and stored.made_from == made_from else None

    def _made_from(self, key: RunKey) -> str:
        """SHA-256 of all that these masks follow from."""
        volume = self._project.volume(key.volume)
        boxes = [
            [position, round(one.presence, 6), one.final, [[round(edge, 4) for edge in box.edges_rc_px] for box in one.counted_boxes]]
            for position, one in sorted(self._said[key].items())
        ]
        if self._way not in ("memory", "slice"):
            boxes += [
                [position, one.person, one.kind, _boxes(one.boxes_rc), round(self._weights[one.person], 6)]
                for position, some in sorted(self._answers[key].items())
                for one in some
            ]
        state = volume.path.stat()
        image = [state.st_size, state.st_mtime_ns, list(volume.stack.shape_src), volume.mapping.lower, volume.mapping.upper]
        adapter = self._engine.adapter
        model = [self._engine.fingerprint, self._engine.weights_sha256, None if adapter is None else adapter.name]
        return _sha256([_VERSION, self._way, str(self._policy), model, image, boxes])


def _task(task: Task) -> list:
    return [task.volume, task.object, task.position]


def _boxes(boxes_rc) -> list[list[int]]:
    return [[box.row_start, box.row_stop, box.col_start, box.col_stop] for box in boxes_rc]


def _sha256(content: list) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
