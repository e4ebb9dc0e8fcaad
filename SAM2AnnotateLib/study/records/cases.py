"""The cases of a study: found in folders or a table, and shared out. Imports volume_io, intensity, nnunet, the config, errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...intensity.mapping import require_window
from ...nnunet.cases.case import require_case_id
from ...nnunet.cases.layout import paired_files
from ...nnunet.cases.splits import AUTO, TEST, TRAIN, share_out
from ...nnunet.data_sets.transaction import settle_around
from ...yaml_config.fields import require_known
from ..configuration.config import FolderPair, StudyConfig, require_axis
from ..configuration.config_data import require_values

_REQUIRED = ("case", "image", "label")
_COLUMNS = (*_REQUIRED, "patient", "part", "axis", "window", "values")


@dataclass(frozen=True)
class StudyCase:
    """One image with its label map.

    Args:
        case_id: names its files.
        patient: cases of one patient are all trained on or all tested on.
        image: a file, or a folder with one DICOM series.
        labels: the label map, a file.
        part: ``train`` or ``test``.
        axis: to step along, see `SliceStack.along`.
        window: gray window, see `choose_mapping`.
        values: names of the label values that are studied, by value.
    """

    case_id: str
    patient: str
    image: Path
    labels: Path
    part: str
    axis: str
    window: str
    values: Mapping[int, str]


def find_cases(config: StudyConfig, base_folder: Path) -> tuple[StudyCase, ...]:
    """All cases, in the order of their ids.

    A table is a CSV file with the columns ``case``, ``image`` and ``label``, and if wanted ``patient``, ``part`` (``train``, ``test`` or
    ``auto``), ``axis``, ``window`` and ``values`` (``1;2``, or with names of their own ``1=liver;2=tumor``). An empty field is as if the
    column were not there. Its paths are relative to the table.

    Args:
        config: whose `data` says where to look.
        base_folder: that of study.yaml.

    Raises:
        InputError: if a file or its partner is missing, an id is no id or there twice, a column is unknown, or a patient is in both parts.
    """
    if config.data.table is not None:
        found = _cases_of_table((base_folder / config.data.table).resolve(), config)
    else:
        found = [case for pair in config.data.folders for case in _cases_of_folders(pair, config, base_folder)]
    if not found:
        raise InputError("The study has no case: neither table nor folders name one.")
    _require_unique(found)
    cases = sorted(_with_parts(found, config), key=lambda case: case.case_id)
    if config.downstream is not None and len({case.part for case in cases}) < 2:
        part = "training" if cases[0].part == TRAIN else "testing"
        raise InputError(
            f"'downstream' needs training and test cases, but all {len(cases)} cases are for {part}. Change data.test_share, or the column "
            "'part' of the table."
        )
    return tuple(cases)


def _cases_of_folders(pair: FolderPair, config: StudyConfig, base_folder: Path) -> list[StudyCase]:
    images, labels = ((base_folder / name).resolve() for name in (pair.images, pair.labels))
    for folder in (images, labels):
        settle_around(folder)  # it may lie in a data set
        if not folder.is_dir():
            raise InputError(f"The folder '{folder}' does not exist. Name it in study.yaml under 'data', relative to study.yaml.")
    found = []
    for files in paired_files(images, labels):
        if len(files.images) > 1:
            raise InputError(
                f"The case '{files.case_id}' in '{images}' has {len(files.images)} channels, and a study annotates one image a case. "
                "Put the images of the channel that is to be annotated into a folder of their own."
            )
        case = StudyCase(files.case_id, files.case_id, files.images[0], files.labels, AUTO, config.axis, config.window, config.data.values)
        found.append(_checked(case))
    return found


def _cases_of_table(table: Path, config: StudyConfig) -> list[StudyCase]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text in UTF-8"
        raise InputError(
            f"The table of cases '{table}' cannot be read: {reason}. Name it in study.yaml under 'data', relative to study.yaml."
        ) from exc
    lines = csv.DictReader(io.StringIO(text, newline=""))
    columns = [name.strip() for name in lines.fieldnames or ()]
    lines.fieldnames = columns
    place = f"The table of cases '{table}'"
    require_known(columns, _COLUMNS, place)
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise InputError(f"{place} lacks the column {', '.join(missing)}. Expected case, image and label, separated by commas.")
    found = []
    for row in lines:
        where = f"{place}, line {lines.line_num}"
        if None in row or None in row.values():
            raise InputError(f"{where}: expected {len(columns)} fields. Put a field with a comma in quotes.")
        try:
            found.append(_case_of_row({key: value.strip() for key, value in row.items()}, table.parent, config))
        except InputError as exc:
            raise InputError(f"{where}: {exc}") from exc
    return found


def _case_of_row(row: Mapping[str, str], folder: Path, config: StudyConfig) -> StudyCase:
    empty = [name for name in _REQUIRED if not row[name]]
    if empty:
        raise InputError(f"the field {', '.join(empty)} is empty.")
    part = row.get("part") or AUTO
    if part not in (AUTO, TRAIN, TEST):
        raise InputError(f"unknown part '{part}', expected {TRAIN}, {TEST} or {AUTO}.")
    values = _values_of(row.get("values", ""), config.data.values)
    image, labels = ((folder / row[name]).resolve() for name in ("image", "label"))
    settle_around(image)
    settle_around(labels)
    axis, window = row.get("axis") or config.axis, row.get("window") or config.window
    return _checked(StudyCase(row["case"], row.get("patient") or row["case"], image, labels, part, axis, window, values))


def _values_of(text: str, names: Mapping[int, str]) -> Mapping[int, str]:
    """Values and names of a field ``1;2`` or ``1=liver;2=tumor``; all of the study's if it is empty."""
    values: dict[int, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        number, _, name = (part.strip() for part in entry.partition("="))
        if not number.isdecimal():
            raise InputError(f"expected label values such as 1;2 or 1=liver;2=tumor, got '{text}'.")
        value = int(number)
        if value in values:
            raise InputError(f"the label value {value} is there twice in '{text}'.")
        known = names.get(value)
        if not name and known is None:
            raise InputError(f"the label value {value} has no name. Name it in study.yaml under data.values, or here: {value}=NAME.")
        if name and known is not None and name != known:
            raise InputError(f"the label value {value} is called '{name}' here, and '{known}' in study.yaml under data.values.")
        values[value] = name or str(known)
    if not values and not names:
        raise InputError("no label values are told. Name them in study.yaml under data.values, or in the column 'values'.")
    require_values(values)
    return values or names


def _checked(case: StudyCase) -> StudyCase:
    require_case_id(case.case_id)
    require_axis(case.axis)
    require_window(case.window)
    if not case.image.exists():
        raise InputError(f"the image '{case.image}' of case '{case.case_id}' does not exist. Correct its path, or take the case out.")
    if not case.labels.is_file():
        raise InputError(f"the label map '{case.labels}' of case '{case.case_id}' does not exist. Correct its path, or take the case out.")
    return case


def _require_unique(cases: Sequence[StudyCase]) -> None:
    seen: dict[str, StudyCase] = {}
    for case in cases:
        other = seen.setdefault(case.case_id.casefold(), case)
        if other is not case:
            raise InputError(f"Two cases are called '{case.case_id}': '{other.image}' and '{case.image}'. Give each an id of its own.")


def _with_parts(cases: Sequence[StudyCase], config: StudyConfig) -> list[StudyCase]:
    known: dict[str, str] = {}
    for case in cases:
        if case.part != AUTO and known.setdefault(case.patient, case.part) != case.part:
            raise InputError(f"The patient '{case.patient}' is in training and test. Put all cases of a patient in one part.")
    parts = share_out((case.patient for case in cases), known, config.data.test_share, config.data.split_seed)
    return [StudyCase(**{**vars(case), "part": known.get(case.patient) or parts[case.patient]}) for case in cases]
