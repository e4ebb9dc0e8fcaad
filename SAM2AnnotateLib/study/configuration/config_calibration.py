"""The block ``calibration`` of a study's configuration. Imports errors and yaml_config."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import InputError
from ...yaml_config.fields import below, build, list_of, read_block, read_number, read_text
from ...yaml_config.names import require_names

JOINT_RULES = ("as_published", "to_target")
NO_EDITS = "none"
REFERENCE = "reference"
_SHARES = (0.02, *(n / 20 for n in range(1, 17)))  # beyond the highest target: a pair may correct fewer slices than each alone


@dataclass(frozen=True)
class CalibrationConfig:
    """How the thresholds of the scenarios are found.

    Args:
        dsc: thresholds of the DSC that are swept, rising.
        nsd: thresholds of the NSD, likewise.
        targets: share of corrected slices by scenario, rising. The scenario without edits comes by itself.
        joint: ``as_published`` applies the two thresholds of a target together as they are, so that more slices than the target may be
            corrected; ``to_target`` finds the pair at which together they correct the target.
        joint_shares: for ``to_target``: shares whose pairs are tried.

    Raises:
        InputError: if thresholds or shares do not rise or lie outside 0..1, or a name cannot name a folder.
    """

    dsc: tuple[float, ...]
    nsd: tuple[float, ...]
    targets: Mapping[str, float] = field(default_factory=lambda: {"low": 0.2, "moderate": 0.4, "high": 0.6})
    joint: str = "as_published"
    joint_shares: tuple[float, ...] = _SHARES

    def __post_init__(self) -> None:
        for name in ("dsc", "nsd", "joint_shares"):
            _require_rising(name, getattr(self, name))
            if len(getattr(self, name)) < 2:
                raise InputError(f"'{name}' needs at least two values to interpolate between.")
        if not self.targets:
            raise InputError("'targets' names no scenario, such as low: 0.2.")
        require_names("scenario", list(self.targets), (NO_EDITS, REFERENCE))
        _require_rising("targets", list(self.targets.values()))
        if self.joint not in JOINT_RULES:
            raise InputError(f"Unknown rule '{self.joint}' for 'joint': expected one of {', '.join(JOINT_RULES)}.")

    @classmethod
    def from_mapping(cls, content: object, place: str = "calibration") -> CalibrationConfig:
        """Raises InputError."""
        readers = {
            "dsc": read_thresholds, "nsd": read_thresholds, "targets": _read_targets, "joint": read_text, "joint_shares": read_thresholds,
        }  # fmt: skip
        return build(cls, content, place, readers)


def read_thresholds(value: object, place: str) -> tuple[float, ...]:
    """A list of numbers, or ``{first: 0.9, last: 0.995, step: 0.005}`` with both ends. Raises InputError."""
    if not isinstance(value, Mapping):
        return list_of(read_number)(value, place)
    steps = build(_Steps, value, place, {"first": read_number, "last": read_number, "step": read_number})
    return steps.values


@dataclass(frozen=True)
class _Steps:
    first: float
    last: float
    step: float

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.first < self.last) or (self.last - self.first) / self.step > 10_000:
            raise InputError(f"expected 'first' below 'last' and at most 10,000 steps, got {self.first:g}, {self.last:g}, {self.step:g}.")
        count = (self.last - self.first) / self.step
        if abs(count - round(count)) > 1e-6:
            raise InputError(f"steps of {self.step:g} from {self.first:g} do not meet {self.last:g}. Change one of the three.")

    @property
    def values(self) -> tuple[float, ...]:
        """Both ends and all between."""
        count = round((self.last - self.first) / self.step)
        return tuple(round(self.first + n * self.step, 10) for n in range(count + 1))


def _read_targets(value: object, place: str) -> dict[str, float]:
    block = read_block(value, place)
    return {read_text(name, f"{place} (a scenario's name)"): read_number(share, below(place, name)) for name, share in block.items()}


def _require_rising(name: str, numbers: Sequence[float]) -> None:
    if any(not 0 <= number <= 1 for number in numbers) or any(second <= first for first, second in itertools.pairwise(numbers)):
        raise InputError(f"'{name}' must rise from one to the next and lie within 0..1, got {', '.join(f'{x:g}' for x in numbers)}.")
