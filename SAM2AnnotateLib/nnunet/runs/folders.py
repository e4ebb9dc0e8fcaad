"""Where nnU-Net keeps raw data, preprocessed data and results. Imports the standard library and errors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError

_DATA_SET_NAME = re.compile(r"Dataset(\d{3})_\w[\w-]*")
PLANS_NAME = "nnUNetPlans"


@dataclass(frozen=True)
class NnunetFolders:
    """The three folders that nnU-Net finds by environment variables, for one data set.

    Args:
        raw: holds `DatasetNNN_Name` with images, labels and `dataset.json`.
        preprocessed: written by nnU-Net's preprocessing.
        results: written by training.
        data_set: `DatasetNNN_Name`.

    Raises:
        InputError: if the name is not of that form.
    """

    raw: Path
    preprocessed: Path
    results: Path
    data_set: str

    def __post_init__(self) -> None:
        if not _DATA_SET_NAME.fullmatch(self.data_set):
            raise InputError(f"'{self.data_set}' is no nnU-Net data set: expected a folder name like Dataset012_Liver.")

    @classmethod
    def of_data_set(cls, folder: str | Path, preprocessed: str | Path | None = None, results: str | Path | None = None) -> NnunetFolders:
        """The folders of a raw data set; those not given lie beside the folder that it is in, under nnU-Net's usual names.

        Args:
            folder: .../nnUNet_raw/DatasetNNN_Name

        Raises:
            InputError: if the folder's name is not of that form, or it has no dataset.json.
        """
        folder = Path(folder).resolve()
        beside = folder.parent.parent
        found = cls(
            raw=folder.parent,
            preprocessed=Path(preprocessed).resolve() if preprocessed else beside / "nnUNet_preprocessed",
            results=Path(results).resolve() if results else beside / "nnUNet_results",
            data_set=folder.name,
        )
        if not (folder / "dataset.json").is_file():
            raise InputError(f"'{folder}' holds no dataset.json. Export a data set first: sam2annotate nnunet export.")
        return found

    @property
    def data_set_id(self) -> int:
        """The NNN of the name."""
        return int(self.data_set[7:10])

    @property
    def raw_data_set(self) -> Path:
        """The data set's folder of images and labels."""
        return self.raw / self.data_set

    @property
    def preprocessed_data_set(self) -> Path:
        """The data set's folder of preprocessed data."""
        return self.preprocessed / self.data_set

    def model_folder(self, trainer: str, configuration: str) -> Path:
        """Where nnU-Net writes the folds of a model."""
        return self.results / self.data_set / f"{trainer}__{PLANS_NAME}__{configuration}"

    def environment(self) -> dict[str, str]:
        """nnU-Net's variables."""
        return {"nnUNet_raw": str(self.raw), "nnUNet_preprocessed": str(self.preprocessed), "nnUNet_results": str(self.results)}


def read_json_file(path: Path, what: str) -> dict:
    """A JSON object from a file. Raises InputError, naming `what`, if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(f"Cannot read {what} '{path}': {exc}.") from exc
    if not isinstance(content, dict):
        raise InputError(f"Cannot read {what} '{path}': expected a JSON object, got {type(content).__name__}.")
    return content
