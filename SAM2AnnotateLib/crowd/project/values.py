"""Objects, volumes and choices of slices, as ``project.yaml`` states them. Imports geometry, intensity, yaml_config and errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...errors import InputError
from ...geometry import SliceStack
from ...intensity import IntensityMapping

_LONGEST_NAME, _LONGEST_TEXT = 80, 2000


@dataclass(frozen=True)
class CrowdObject:
    """What people look for.

    Args:
        key: names it in the project and in files.
        name: as people read it.
        sentence: what it is and how to know it, in plain words.
        examples: pictures (PNG or JPEG) that show it.
        label: its value in exported label maps, and in label maps of known answers.
        terminology: a coded name for exports, if there is one.

    Raises:
        InputError: if a text is empty or too long, or the label is none.
    """

    key: str
    name: str
    sentence: str
    examples: tuple[Path, ...] = ()
    label: int = 1
    terminology: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "examples", tuple(self.examples))
        if not 0 < len(self.name.strip()) <= _LONGEST_NAME:
            raise InputError(f"An object's 'name' has 1 to {_LONGEST_NAME} letters, got {len(self.name)}.")
        if not self.name.isprintable():
            raise InputError(f"An object's 'name' is one line that can be shown, got {self.name!r}.")
        if not 0 < len(self.sentence.strip()) <= _LONGEST_TEXT:
            raise InputError(f"An object's 'sentence' has 1 to {_LONGEST_TEXT} letters, got {len(self.sentence)}.")
        if not 1 <= self.label <= 32_767:
            raise InputError(f"An object's 'label' is 1 to 32767 (0 is the background), got {self.label}.")


@dataclass(frozen=True)
class SliceChoice:
    """Which slices of a volume are asked.

    Args:
        every: 1 for each slice, n for every n-th, from the first on.
        first, last: voxel indices along the project's axis, as viewers show them, both included; None for the volume's own.

    Raises:
        InputError: if `every` is below 1, or the range is none.
    """

    every: int = 1
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"'every' is 1 (each slice) or more, got {self.every}.")
        if (self.first is not None and self.first < 0) or (self.last is not None and self.last < 0):
            raise InputError(f"Slices are numbered from 0, got first {self.first} and last {self.last}.")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise InputError(f"The 'first' slice {self.first} lies behind the 'last' one, {self.last}. Swap them.")

    def positions(self, stack: SliceStack) -> tuple[int, ...]:
        """The chosen slices as positions in a volume's stack, rising.

        Raises:
            InputError: if the range reaches beyond the volume.
        """
        count = stack.shape_src[0]
        first, last = self.first if self.first is not None else 0, self.last if self.last is not None else count - 1
        if last >= count or first > last:
            raise InputError(
                f"The slices {first}..{last} are asked for, but the volume has the slices 0..{count - 1} along {stack.index_axis}."
            )
        return tuple(sorted(stack.position_of(index) for index in range(first, last + 1, self.every)))


@dataclass(frozen=True)
class CrowdVolume:
    """A volume of a project, read once: see `prepared`.

    Args:
        key: names it in the project and in files.
        path: the image: a file or a DICOM folder.
        stack: how it is sliced along the project's axis, upright.
        mapping: from its values to the gray that people and the model see.
        gray_file: the (slice, row, column) uint8 stack, as a .npy file.
        slices: which are asked.
        gold: a label map of known answers, whose values are the objects' labels; None if there is none.
        gold_slices: on which slices its answers are known; None for all that are asked.
    """

    key: str
    path: Path
    stack: SliceStack
    mapping: IntensityMapping
    gray_file: Path
    slices: SliceChoice = field(default_factory=SliceChoice)
    gold: Path | None = None
    gold_slices: SliceChoice | None = None

    @property
    def positions(self) -> tuple[int, ...]:
        """Positions of all slices that are asked, rising; those with a known answer among them."""
        return tuple(sorted({*self.slices.positions(self.stack), *self.gold_positions}))

    @property
    def gold_positions(self) -> tuple[int, ...]:
        """Positions of the slices that a label map is known for, rising."""
        if self.gold is None:
            return ()
        return (self.gold_slices or self.slices).positions(self.stack)
