"""Where nnU-Net keeps raw data, preprocessed data and results. Imports json_input, the transaction, errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...json_input import Fields, is_text, is_whole, read_json
from ..data_sets.transaction import settle_around

_DATA_SET_NAME = re.compile(r"Dataset(\d{3})_\w[\w-]*")
PLANS_NAME = "nnUNetPlans"
_ENDING = re.compile(r"(\.[A-Za-z0-9]{1,16}){1,3}")


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
            InputError: if the folder's name is not of that form, it has no dataset.json, or an export into it is under way.
            OutputError: if an export into it was interrupted, and cannot be finished.
        """
        folder = Path(folder).resolve()
        settle_around(folder)
        beside = folder.parent.parent
        found = cls(
            raw=folder.parent,
            preprocessed=Path(preprocessed).resolve() if preprocessed else beside / "nnUNet_preprocessed",
            results=Path(results).resolve() if results else beside / "nnUNet_results",
            data_set=folder.name,
        )
        if not (folder / "dataset.json").is_file():
            raise InputError(f"'{folder}' holds no dataset.json.", "Export a data set first: sam2annotate nnunet export.")
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


class DataSetDescription:
    """nnU-Net's ``dataset.json``, of our own or of anybody's data set or model. What is asked for is checked when it is asked for.

    Args:
        path: the file.

    Raises:
        InputError: if it is missing or no JSON object; of each property, if that is not what nnU-Net's file has there.
    """

    def __init__(self, path: Path):
        self._fields = Fields(read_json(path, "the data set's description"), f"the data set's description '{path}'")

    @property
    def channels(self) -> int:
        """Number of images of a case."""
        count = len(self._fields.object("channel_names").values)
        if not 1 <= count <= 9999:
            raise InputError(f"{self._fields.what}: 'channel_names' should name 1 to 9999 channels, it names {count}.")
        return count

    @property
    def ending(self) -> str:
        """Of all files, ``.nii.gz``."""
        ending = self._fields.text("file_ending")
        if not _ENDING.fullmatch(ending):  # it is joined to names, so it must not lead anywhere
            raise InputError(f"{self._fields.what}: 'file_ending' should be like .nii.gz, it is {ending[:80]!r}.")
        return ending

    @property
    def labels(self) -> dict[str, tuple[int, ...]]:
        """Values by name, in the file's order; several values for a region."""
        labels = {}
        for name, value in self._fields.object("labels").values.items():
            values = value if isinstance(value, list) else [value]
            if not is_text(name) or not values or not all(is_whole(one, 0, 65535) for one in values):
                raise InputError(f"{self._fields.what}: the label {name[:80]!r} should have a value from 0 to 65535, or a list of such.")
            labels[name] = tuple(values)
        return labels


def read_json_file(path: Path, what: str) -> dict:
    """A JSON object from a file. Raises InputError, naming `what`, if it cannot be read."""
    return Fields(read_json(path, what), f"{what} '{path}'").values
