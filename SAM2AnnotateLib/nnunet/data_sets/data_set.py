"""DataSet: a folder ``DatasetNNN_Name`` that nnU-Net reads; cases come, go and are replaced. Imports the room's files and volume_io.

Every change is a `FolderTransaction`: killed at any moment, the folder is as before or as after once it is opened again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import InputError
from ...file_locks import locked
from ...geometry import Volume
from ...json_input import Fields, read_json
from ...volume_io import write_volume
from ..cases.case import ExportCase, require_case_id
from ..cases.masks import grid_difference
from ..cases.plan import PLAN_FILE, DataSetPlan, plan_text, read_plan
from ..cases.splits import AUTO, TEST, TRAIN, make_folds, read_folds, share_out
from .images import channel_volumes
from .labels import LabelSummary, label_case
from .records import dataset_json, provenance_of
from .report import ExportReport, WrittenCase
from .transaction import FolderTransaction, finish_interrupted, lock_file

DATASET_FILE, SPLITS_FILE, PROVENANCE = "dataset.json", "splits_final.json", "provenance"
_FOLDERS = {TRAIN: ("imagesTr", "labelsTr"), TEST: ("imagesTs", "labelsTs")}


@dataclass(frozen=True)
class CaseRecord:
    """A case that is in the data set.

    Args:
        case_id: name of its files.
        patient: whose it is.
        part: ``train`` or ``test``.
    """

    case_id: str
    patient: str
    part: str


@dataclass(frozen=True)
class _Prepared:
    """A case whose files are staged."""

    case_id: str
    patient: str
    part: str
    summary: LabelSummary
    notes: tuple[str, ...]
    provenance: dict


class DataSet:
    """A data set on disk. Made by `open` or `create`.

    Args:
        folder: ``.../DatasetNNN_Name``.
        plan: what it holds.
    """

    def __init__(self, folder: Path, plan: DataSetPlan):
        self.folder, self.plan = folder, plan

    @classmethod
    def open(cls, folder: str | Path) -> DataSet:
        """Open a data set, and finish or take back a change that was interrupted.

        Raises:
            InputError: if there is none, it was not written by this library, or another process writes to it.
            OutputError: if an interrupted change cannot be finished.
        """
        folder = Path(folder)
        finish_interrupted(folder)
        if not (folder / PLAN_FILE).is_file():
            if _holds_files(folder):
                raise InputError(_foreign(folder))
            state = "is empty" if folder.is_dir() else "does not exist"
            raise InputError(f"The data set '{folder}' {state}. Export a case with a plan to make one.")
        return cls(folder, read_plan(folder / PLAN_FILE))

    @classmethod
    def create(cls, raw_folder: str | Path, plan: DataSetPlan) -> DataSet:
        """Begin a data set in nnU-Net's folder of raw data, or open the one of this plan. Its folder appears with the first case.

        Raises:
            InputError: if a data set of this id has another name or plan.
            OutputError: if the folder cannot be written.
        """
        raw_folder = Path(raw_folder)
        if not raw_folder.is_dir():
            raise InputError(f"There is no folder '{raw_folder}'. Create it, or give another one for nnU-Net's raw data.")
        folder = raw_folder / plan.folder_name
        others = [path.name for path in raw_folder.glob(f"Dataset{plan.number:03d}_*") if path.name != folder.name]
        if others:
            raise InputError(f"nnU-Net finds data sets by number, and {plan.number} is taken by '{others[0]}'. Choose another number.")
        finish_interrupted(folder)
        if not _holds_files(folder):
            return cls(folder, plan)
        made = cls.open(folder)
        if made.plan != plan:
            raise InputError(
                f"'{folder}' has another plan ('{PLAN_FILE}' in it). Values mean one thing in all of its cases: use its plan, "
                "or export to a data set of another number."
            )
        return made

    def cases(self) -> dict[str, CaseRecord]:
        """The cases by id, sorted.

        Raises:
            InputError: if a provenance file is damaged.
        """
        found = {}
        for path in sorted((self.folder / PROVENANCE).glob("*.json")):
            try:
                stored = self._provenance_at(path)
                record = CaseRecord(stored.text("case"), stored.text("patient"), stored.text("part"))
                require_case_id(record.case_id)
                if record.part not in _FOLDERS or record.case_id != path.stem:
                    raise InputError(f"It speaks of the case '{record.case_id}' in the part '{record.part}'.")
            except InputError as exc:
                raise InputError(f"'{path}' is damaged. {exc} Export the case '{path.stem}' again, replacing it.") from exc
            found[record.case_id] = record
        return found

    def files_of(self, record: CaseRecord) -> tuple[list[str], str]:
        """Names of a case's images in the order of the channels, and of its labels, relative to the folder."""
        images, labels = _FOLDERS[record.part]
        ending = self.plan.file_ending
        channels = range(len(self.plan.channels))
        return [f"{images}/{record.case_id}_{n:04d}{ending}" for n in channels], f"{labels}/{record.case_id}{ending}"

    def provenance(self, case_id: str) -> dict:
        """What is kept about where a case comes from. Raises InputError if it is missing or damaged."""
        require_case_id(case_id)
        return self._provenance_at(self.folder / PROVENANCE / f"{case_id}.json").values

    def preview(self, case: ExportCase, unreviewed: str | None = None, resample: bool = False) -> tuple[LabelSummary, list[str]]:
        """What would be written and left out, and notes, without writing. Raises as `export` does."""
        _, summary, notes = self._prepare(case, unreviewed, resample)
        return summary, notes

    def export(
        self,
        cases: Iterable[ExportCase],
        replace_cases: bool = False,
        unreviewed: str | None = None,
        resample: bool = False,
        on_case: Callable[[str], None] | None = None,
    ) -> ExportReport:
        """Add cases, or replace them; all of them or none.

        Args:
            cases: read one after another, so they may be made on demand.
            replace_cases: whether a case whose id is there already is replaced; otherwise it is refused.
            unreviewed: one of the plan's rules for unreviewed slices, instead of the plan's own.
            resample: whether further channels on another grid are interpolated onto the first one's.
            on_case: called with the id of each case before it is written.

        Raises:
            InputError: if a case does not fit the plan, is there twice, or its patient is in the other part; see `label_case` too.
            GridMismatchError: if images, or image and segments, do not lie together.
            OutputError: if it cannot be written, or the disk is full; nothing has changed then.
        """
        with locked(lock_file(self.folder)), FolderTransaction(self.folder) as change:
            known = self.cases()
            prepared: list[_Prepared] = []
            for case in cases:
                volumes, summary, notes = self._prepare(case, unreviewed, resample)
                # After all that may be wrong with the case itself, so that nothing of it turns up on the second try.
                self._require_new(case.case_id, known, prepared, replace_cases)
                if on_case is not None:
                    on_case(case.case_id)
                for name, volume in zip(self._placed_names(case.case_id), volumes, strict=True):
                    write_volume(volume, change.place(name))
                # What is kept until the end holds no voxels, so a call may write any number of cases.
                provenance = provenance_of(case, self.plan, summary, notes, volumes[0].grid)
                prepared.append(_Prepared(case.case_id, case.patient, case.part, summary, tuple(notes), provenance))
            records = self._records_after(prepared, known)
            for one in prepared:
                self._settle(change, one, records[one.case_id], known.get(one.case_id))
            report = self._finish(change, records, prepared, known)
            change.commit()
        return report

    def remove(self, case_ids: Sequence[str]) -> ExportReport:
        """Take cases out; all others keep names, parts and folds.

        Raises:
            InputError: if one is not there.
            OutputError: if it cannot be written; nothing has changed then.
        """
        with locked(lock_file(self.folder)), FolderTransaction(self.folder) as change:
            known = self.cases()
            for case_id in case_ids:
                if case_id not in known:
                    raise InputError(f"There is no case '{case_id}' in '{self.folder}'. It has {', '.join(known) or 'none'}.")
                self._drop(change, known[case_id])
                change.remove(f"{PROVENANCE}/{case_id}.json")
            records = {case_id: record for case_id, record in known.items() if case_id not in case_ids}
            report = self._finish(change, records, (), known)
            change.commit()
        return report

    @staticmethod
    def _provenance_at(path: Path) -> Fields:
        return Fields(read_json(path, "the provenance"), f"the provenance '{path}'")

    # -- within --------------------------------------------------------------------------------------------------------------

    def _prepare(self, case: ExportCase, unreviewed: str | None, resample: bool) -> tuple[list[Volume], LabelSummary, list[str]]:
        """Images and labels to write, what became of the segments, and notes."""
        plan = self.plan if unreviewed is None else replace(self.plan, unreviewed=unreviewed)
        volumes, notes = channel_volumes(case, plan, resample)
        notes += _grid_notes(case)
        labels, summary = label_case(case.case_id, case.segments, volumes[0].grid, plan)
        if summary.overlapping_voxels:
            notes.append(f"{summary.overlapping_voxels} voxels belong to several labels; the {plan.overlap} label of the plan got them")
        if summary.ignored_voxels:
            notes.append(f"{summary.ignored_voxels} voxels have the ignore label")
        notes += [f"{one.voxels_outside} voxels of '{one.name}' lie outside the image" for one in summary.segments if one.voxels_outside]
        return [*volumes, labels], summary, notes

    def _placed_names(self, case_id: str) -> list[str]:
        """Where a case's images and labels are staged, before its part is known."""
        images, labels = self.files_of(CaseRecord(case_id, "", TRAIN))
        return [*images, labels]

    def _require_new(self, case_id: str, known: Iterable[str], prepared: Sequence[_Prepared], replace_cases: bool) -> None:
        if any(case_id.casefold() == one.case_id.casefold() for one in prepared):
            raise InputError(f"The case '{case_id}' is given twice. Give each case an id of its own.")
        for other in known:
            if other.casefold() == case_id.casefold() and (other != case_id or not replace_cases):
                raise InputError(f"There is a case '{other}' in '{self.folder}' already. Choose another id, or ask to replace it.")

    def _records_after(self, prepared: Sequence[_Prepared], known: dict[str, CaseRecord]) -> dict[str, CaseRecord]:
        """All records with the new ones, each with its part."""
        written = {one.case_id: one.patient for one in prepared}
        part_of = {
            record.patient: record.part for record in known.values() if written.get(record.case_id, record.patient) == record.patient
        }
        chosen: dict[str, str] = {}
        staying = {record.patient: record for record in known.values() if record.case_id not in written}
        for one in prepared:
            if one.part == AUTO:
                continue
            other = staying.get(one.patient)
            before = chosen.setdefault(one.patient, one.part) if other is None else other.part
            if before != one.part:
                raise InputError(
                    f"The case '{one.case_id}' cannot be a {one.part} case: its patient '{one.patient}' has a {before} case, "
                    "and the cases of a patient stay together."
                )
        part_of |= chosen
        part_of |= share_out(written.values(), part_of, self.plan.split.test_share, self.plan.split.seed)
        return dict(sorted({**known, **{case_id: CaseRecord(case_id, p, part_of[p]) for case_id, p in written.items()}}.items()))

    def _settle(self, change: FolderTransaction, one: _Prepared, record: CaseRecord, before: CaseRecord | None) -> None:
        if before is not None:
            self._drop(change, before)
        images, labels = self.files_of(record)
        for placed, name in zip(self._placed_names(one.case_id), (*images, labels), strict=True):
            change.settle(placed, name)
        change.write_text(
            f"{PROVENANCE}/{one.case_id}.json",
            json.dumps({"case": record.case_id, "patient": record.patient, "part": record.part, **one.provenance}, indent=1) + "\n",
        )

    def _drop(self, change: FolderTransaction, record: CaseRecord) -> None:
        images, labels = self.files_of(record)
        for name in (*images, labels):
            change.remove(name)

    def _finish(
        self, change: FolderTransaction, records: dict[str, CaseRecord], prepared: Sequence[_Prepared], known: dict[str, CaseRecord]
    ) -> ExportReport:
        """Stage what speaks of all cases, and report."""
        training = {case_id: record.patient for case_id, record in records.items() if record.part == TRAIN}
        splits = make_folds(training, self.splits(), self.plan.split.folds, self.plan.split.seed)
        if splits:
            change.write_text(SPLITS_FILE, json.dumps(splits, indent=1) + "\n")
        else:
            change.remove(SPLITS_FILE)
        change.write_text(PLAN_FILE, plan_text(self.plan))
        change.write_text(DATASET_FILE, json.dumps(dataset_json(self.plan, len(training)), indent=1) + "\n")
        written = tuple(
            WrittenCase(
                one.case_id, one.patient, records[one.case_id].part, one.case_id in known,
                one.summary.segments, one.summary.left_out, one.summary.missing, one.notes,
            )
            for one in prepared
        )  # fmt: skip
        return ExportReport(written, len(splits), len(training), len(records) - len(training))

    def splits(self) -> list[dict[str, list[str]]]:
        """The folds; empty if there are none. Raises InputError if their file is damaged."""
        path = self.folder / SPLITS_FILE
        try:
            return read_folds(path) if path.is_file() else []
        except InputError as exc:
            raise InputError(f"'{path}' is damaged. {exc} Remove it; the next export writes it anew.") from exc


def _grid_notes(case: ExportCase) -> list[str]:
    """What speaks against image and segments being of one scan: none of their files need say whose it is."""
    grid, source = case.images[0].volume.grid, f"'{case.segments_source}'" if case.segments_source else "their source"
    different = grid_difference(grid, case.segments_grid, whole=True) if case.segments_grid is not None else ""
    parts = [(one.name, grid_difference(grid, one.mask.grid, whole=False)) for one in case.segments]
    different = different or next((text for _, text in parts if text), "")
    if not different:
        return []
    return [f"the segments' grid is not the image's ({source}: {different}); make sure that both are of one scan"]


def _holds_files(folder: Path) -> bool:
    """Whether a data set's folder is there and not empty."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _foreign(folder: Path) -> str:
    return (
        f"The data set '{folder}' was not written by SAM2Annotate: its plan is missing ({PLAN_FILE}). So nothing is exported into it, with "
        "a plan or without: what its values mean and whose its cases are is not known. Export to a data set of another number. Its cases "
        f"come along by: sam2annotate nnunet export NEW --images '{folder / 'imagesTr'}' --labels '{folder / 'labelsTr'}' and a plan."
    )
