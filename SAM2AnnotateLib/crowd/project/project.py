"""CrowdProject: all that its owner decides, complete and checked. Imports answers, values, yaml_config and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ...errors import InputError
from ...geometry.slicing import AXIS_NAMES
from ...intensity.mapping import require_window
from ...yaml_config.names import require_names
from ..answers import Task
from .values import CrowdObject, CrowdVolume

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "people_per_slice": (1, 100),
    "gold_share": (0, 0.9),
    "training_count": (0, 1000),
    "training_iou": (0.05, 1),
    "training_pass": (0, 1),
    "reservation_minutes": (0.05, 7 * 24 * 60),
    "session_hours": (0.05, 90 * 24),
    "context_slices": (0, 1000),
    "smallest_gold_pixels": (1, 1_000_000),
}
_LONGEST_TITLE, _LONGEST_INSTRUCTIONS = 120, 20_000


@dataclass(frozen=True)
class Rules:
    """How the work is shared out.

    Args:
        people_per_slice: how many people answer each task.
        gold_share: share of the tasks given to a person whose answer is known, so that people's accuracy can be told; unseen.
        training_count: tasks with a known answer and feedback that each person does first.
        training_iou: in the training round a box is right if it overlaps the known one by so much (intersection over union).
        training_pass: share of the training round that must be right, else what was wrong comes again. 0: whoever has done it is through.
        reservation_minutes: a task that a person was given waits so long for the answer, then it is given again.
        session_hours: a person stays signed in so long.
        context_slices: so many neighbors on either side may be looked at.
        smallest_gold_pixels: parts of a known answer below this are no fair question: such slices are not asked as gold.

    Raises:
        InputError: if a value is out of its bounds.
    """

    people_per_slice: int = 3
    gold_share: float = 0.1
    training_count: int = 0
    training_iou: float = 0.6
    training_pass: float = 0.0
    reservation_minutes: float = 15.0
    session_hours: float = 12.0
    context_slices: int = 10
    smallest_gold_pixels: int = 20

    def __post_init__(self) -> None:
        for one in fields(self):
            low, high = _BOUNDS[one.name]
            value = getattr(self, one.name)
            if not low <= value <= high:
                raise InputError(f"'{one.name}' is {low:g} to {high:g}, got {value:g}.")


@dataclass(frozen=True)
class CrowdProject:
    """A project.

    Args:
        folder: with project.yaml; what the project needs besides its volumes lies there.
        key: names it in the database: letters, digits, ``_`` and ``-``. It stays when the folder moves.
        title: as people read it.
        instructions: what to do, in plain text.
        objects: what is looked for.
        volumes: where.
        axis: to step along, see `SliceStack.along`.
        window: gray window, see `choose_mapping`; for each volume one.
        rules: how the work is shared out.
        known_answers: a JSON file of known answers besides those in label maps, see `gold`.
        database: where answers are kept: an address as SQLAlchemy takes it; None for a SQLite file in the folder.

    Raises:
        InputError: if a name is given twice, a text is too long, or axis or window are none.
    """

    folder: Path
    key: str
    title: str
    objects: tuple[CrowdObject, ...]
    volumes: tuple[CrowdVolume, ...]
    instructions: str = ""
    axis: str = "axial"
    window: str = "auto"
    rules: Rules = field(default_factory=Rules)
    known_answers: Path | None = None
    database: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(self.objects))
        object.__setattr__(self, "volumes", tuple(self.volumes))
        require_names("project", [self.key])
        if not 0 < len(self.title.strip()) <= _LONGEST_TITLE:
            raise InputError(f"A project's 'title' has 1 to {_LONGEST_TITLE} letters, got {len(self.title)}.")
        if not self.title.isprintable():
            raise InputError(f"A project's 'title' is one line that can be shown, got {self.title!r}.")
        if len(self.instructions) > _LONGEST_INSTRUCTIONS:
            raise InputError(f"'instructions' have at most {_LONGEST_INSTRUCTIONS} letters, got {len(self.instructions)}.")
        if not self.objects:
            raise InputError("'objects' names nothing to look for. Give one at least.")
        if not self.volumes:
            raise InputError("'volumes' names no volume. Give one at least.")
        require_names("object", [one.key for one in self.objects])
        require_names("volume", [one.key for one in self.volumes])
        labels = [one.label for one in self.objects]
        if len(set(labels)) < len(labels):
            raise InputError(f"Each object has a 'label' of its own, got {', '.join(map(str, labels))}.")
        if self.axis.lower() not in AXIS_NAMES:
            raise InputError(f"Unknown axis '{self.axis}': expected one of {', '.join(AXIS_NAMES)}.")
        require_window(self.window)
        for volume in self.volumes:
            try:
                _ = volume.positions
            except InputError as exc:
                raise InputError(f"Volume '{volume.key}': {exc}") from exc

    @property
    def people_per_slice(self) -> int:
        """How many people answer each task."""
        return self.rules.people_per_slice

    @property
    def gold_share(self) -> float:
        """Share of the tasks whose answer is known."""
        return self.rules.gold_share

    @property
    def training_count(self) -> int:
        """Tasks with feedback that each person does first."""
        return self.rules.training_count

    @property
    def reservation_minutes(self) -> float:
        """How long a task waits for its answer."""
        return self.rules.reservation_minutes

    def tasks(self) -> tuple[Task, ...]:
        """Every object on every slice that is asked, by volume, object and position; those with a known answer among them."""
        return tuple(
            sorted(Task(volume.key, one.key, position) for volume in self.volumes for one in self.objects for position in volume.positions)
        )

    def volume(self, key: str) -> CrowdVolume:
        """The volume of this key. Raises InputError if there is none."""
        return _by_key(self.volumes, key, f"project '{self.key}' has no volume")

    def object(self, key: str) -> CrowdObject:
        """The object of this key. Raises InputError if there is none."""
        return _by_key(self.objects, key, f"project '{self.key}' has no object")


def _by_key(values, key, problem):
    for one in values:
        if one.key == key:
            return one
    raise InputError(f"The {problem} '{key}'.")
