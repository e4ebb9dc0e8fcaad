"""What an export did: what was written, and what was left out. Imports nnunet.labels."""

from __future__ import annotations

from dataclasses import dataclass

from .labels import LabeledSegment, LeftOut


@dataclass(frozen=True)
class WrittenCase:
    """One case of an export.

    Args:
        case_id: name of its files.
        patient: its patient.
        part: ``train`` or ``test``.
        replaced: whether a case of this id was there before.
        segments: what went into the labels.
        left_out: what did not, and why.
        missing: labels of the plan without a voxel.
        notes: resampled channels, overlaps, segments that reach out of the image, and the like.
    """

    case_id: str
    patient: str
    part: str
    replaced: bool
    segments: tuple[LabeledSegment, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ExportReport:
    """A whole export.

    Args:
        written: the cases, in the order given.
        folds: number of folds now.
        training: number of training cases now.
        test: number of test cases now.
    """

    written: tuple[WrittenCase, ...]
    folds: int
    training: int
    test: int

    def lines(self) -> list[str]:
        """For people to read."""
        lines = []
        for case in self.written:
            lines.append(f"{case.case_id}: {'replaced' if case.replaced else 'added'} ({case.part}, patient {case.patient})")
            lines += [f"  {one.value} <- {one.name}: {one.voxels} voxels" for one in case.segments]
            lines += [f"  left out: {one.name}: {one.reason}" for one in case.left_out]
            if case.missing:
                lines.append(f"  without a voxel: {', '.join(case.missing)}")
            lines += [f"  note: {note}" for note in case.notes]
        folds = f"{self.folds} folds" if self.folds else "no folds yet: cross-validation needs two patients"
        lines.append(f"{_counted(self.training, 'training case')} ({folds}), {_counted(self.test, 'test case')}")
        return lines


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
