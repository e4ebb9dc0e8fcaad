"""The block ``data`` of a study's configuration: where images and labels lie, and who is trained on. Imports errors and yaml_config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import InputError
from ...yaml_config.fields import build, described, list_of, read_block, read_number, read_text, read_whole, require_known

# nnU-Net has its own use for them.
_RESERVED = ("background", "ignore")


@dataclass(frozen=True)
class FolderPair:
    """Two folders; files of the same name in them belong together.

    Args:
        images: folder of images.
        labels: folder of label maps.
    """

    images: str
    labels: str


@dataclass(frozen=True)
class DataConfig:
    """The cases. Paths are relative to study.yaml; those within a table to the table.

    Args:
        table: a CSV file with a line for each case, see `study.cases`; or:
        folders: pairs of folders.
        values: names of the label values that are studied; others are background.
        test_share: of the patients whose part is not told, how many are kept for testing; 0.4 for a 60/40 split.
        split_seed: of the shuffle behind it.

    Raises:
        InputError: if there is neither table nor folder, or both, or a value or a share is none.
    """

    table: str | None = None
    folders: tuple[FolderPair, ...] = ()
    values: Mapping[int, str] = field(default_factory=dict)
    test_share: float = 0.0
    split_seed: int = 0

    def __post_init__(self) -> None:
        if (self.table is None) == (not self.folders):
            raise InputError("Give either 'table', or 'images' and 'labels' (or several of them as 'folders').")
        if not 0 <= self.test_share < 1:
            raise InputError(f"Expected a 'test_share' from 0 to below 1, got {self.test_share:g}.")
        require_values(self.values)
        if self.table is None and not self.values:
            raise InputError("'values' names no label value, such as {1: liver}, so there is nothing to annotate.")

    @classmethod
    def from_mapping(cls, content: object, place: str = "data") -> DataConfig:
        """Raises InputError."""
        known = ("table", "images", "labels", "folders", "values", "test_share", "split_seed")
        block = dict(read_block(content, place))
        require_known(block, known, place)
        pair = {name: block.pop(name) for name in ("images", "labels") if block.get(name) is not None}
        readers = {
            "table": read_text, "folders": list_of(_read_pair), "values": _read_values, "test_share": read_number, "split_seed": read_whole,
        }  # fmt: skip
        block = {key: value for key, value in block.items() if key in readers}
        if pair and block.get("folders") is not None:
            raise InputError(f"{place}: 'images' and 'labels' beside 'folders' say it twice. Move them into the list.")
        return build(cls, block, place, readers, **({"folders": (_read_pair(pair, place),)} if pair else {}))


def require_values(values: Mapping[int, str]) -> None:
    """Raise InputError unless these can be label values and their names."""
    wrong = [value for value in values if value < 1]
    if wrong:
        raise InputError(f"Label values are whole numbers of 1 or more (0 is the background), got {wrong[0]}.")
    names = [name.casefold() for name in values.values()]
    doubled = [name for name in values.values() if names.count(name.casefold()) > 1 or name.casefold() in _RESERVED]
    if doubled:
        raise InputError(f"A label cannot be called '{doubled[0]}': the name is given twice, or nnU-Net has another use for it.")


def _read_pair(value: object, place: str) -> FolderPair:
    return build(FolderPair, value, place, {"images": read_text, "labels": read_text})


def _read_values(value: object, place: str) -> dict[int, str]:
    block = read_block(value, place)
    for key in block:
        if not isinstance(key, int) or isinstance(key, bool):
            raise InputError(f"{place}: expected label values (whole numbers) and their names, such as 1: liver; got {described(key)}.")
    return {key: read_text(name, f"{place}.{key}") for key, name in block.items()}
