"""DataSetPlan: what the values of a data set's labels mean, for all of its cases. Imports errors, atomic_files, json_input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import InputError
from ...file_names import is_reserved
from ...json_input import Fields, is_text, is_whole, read_json

PLAN_FILE = "sam2annotate_plan.json"
# What nnU-Net reads through SimpleITK, and `write_volume` writes.
FILE_ENDINGS = (".nii.gz", ".nrrd", ".mha")
OVERLAP_RULES = ("later", "earlier", "refuse")
UNREVIEWED_RULES = ("leave_out", "ignore", "keep", "refuse")
# Names of channels that choose a normalization of their own in nnU-Net; every other name means z-score.
NORMALIZING_NAMES = ("ct", "nonorm", "zscore", "rescale_to_0_1", "rgb_to_0_1")
_RESERVED = ("background", "ignore")
_FORMAT = 1
_LONGEST_NAME = 200


@dataclass(frozen=True)
class LabelRule:
    """One value, and which segments it takes.

    Args:
        value: 1 and up.
        name: the label's name in the data set.
        segments: names of segments, in any case; ``*`` and ``?`` stand for any characters and for one. Without names and codes: `name`.
        codes: terminology codes, ``SCHEME:VALUE`` (``SCT:10200004``) or, with a modifier such as a side, ``SCHEME:VALUE+SCHEME:VALUE``.
        merge: whether several segments of a case (tumor 1, tumor 2) become this one value; otherwise such a case is refused.
        required: whether a case without such a segment is refused; otherwise it is listed.
    """

    value: int
    name: str
    segments: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    merge: bool = True
    required: bool = False

    def __post_init__(self) -> None:
        _require_lists(segments=self.segments, codes=self.codes)
        if not self.segments and not self.codes:
            object.__setattr__(self, "segments", (self.name,))
        for code in self.codes:
            if not re.fullmatch(r"[^:+\s]+:[^:+\s]+(\+[^:+\s]+:[^:+\s]+)?", code):
                raise InputError(
                    f"The label '{self.name}' has the terminology code '{code}'. Expected SCHEME:VALUE, such as SCT:10200004, "
                    "or with a modifier SCT:64033007+SCT:24028007."
                )


@dataclass(frozen=True)
class Region:
    """A region that nnU-Net learns: all voxels with one of some values ("whole tumor" is edema, core and enhancing part)."""

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        _require_lists(values=self.values)


@dataclass(frozen=True)
class SplitRule:
    """How patients are shared out.

    Args:
        folds: parts for cross-validation of the training cases.
        test_share: of all patients, for those who are not put into a part by hand; 0.4 for a 60/40 split.
        seed: of the shuffle.
    """

    folds: int = 5
    test_share: float = 0.0
    seed: int = 12345


@dataclass(frozen=True)
class DataSetPlan:
    """What a data set holds, the same for each of its cases.

    Args:
        number: nnU-Net's id of the data set, 1..999.
        name: its name; letters, digits, ``_`` and ``-``.
        channels: names of a case's images in nnU-Net's order. "CT" is normalized as CT; MR sequences are named as one likes.
        labels: rules, values 1, 2, 3, ... without a gap, in any order. The order counts where segments overlap.
        file_ending: of images and labels, one of `FILE_ENDINGS`.
        regions: for region-based training; empty for plain labels.
        regions_class_order: value that each region writes into a prediction, later regions over earlier ones. Empty: for each region the
            one value that no later region holds.
        ignore: whether the data set has nnU-Net's ignore label, one above the highest value.
        overlap: where segments of several labels overlap, the ``later`` or the ``earlier`` of `labels` wins, or ``refuse`` the case.
        unreviewed: what becomes of an object with slices that are neither accepted nor corrected: ``leave_out`` the object, ``ignore`` the
            slices (the ignore label), ``keep`` it as it is, or ``refuse`` the case.
        split: how patients are shared out.

    Raises:
        InputError: if any of it is not what nnU-Net takes.
    """

    number: int
    name: str
    channels: tuple[str, ...]
    labels: tuple[LabelRule, ...]
    file_ending: str = ".nii.gz"
    regions: tuple[Region, ...] = ()
    regions_class_order: tuple[int, ...] = ()
    ignore: bool = False
    overlap: str = "later"
    unreviewed: str = "leave_out"
    split: SplitRule = SplitRule()

    def __post_init__(self) -> None:
        _require_lists(channels=self.channels, labels=self.labels, regions=self.regions, regions_class_order=self.regions_class_order)
        if not 1 <= self.number <= 999:
            raise InputError(f"A data set's id is a number from 1 to 999, got {self.number}.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,119}", self.name) or is_reserved(self.name):
            raise InputError(
                "A data set's name consists of up to 120 letters, digits, _ and -, and begins with none of the last two, "
                "and none that Windows keeps for a device; "
                f"got {self.name[:130]!r}."
            )
        _require_one_of("file ending", self.file_ending, FILE_ENDINGS)
        _require_one_of("overlap rule", self.overlap, OVERLAP_RULES)
        _require_one_of("rule for unreviewed slices", self.unreviewed, UNREVIEWED_RULES)
        if not self.channels or not all(self.channels):
            raise InputError("A data set needs at least one channel, and each needs a name, such as CT or T1.")
        _require_unique("channel", self.channels)
        self._require_labels()
        self._require_regions()
        if self.unreviewed == "ignore" and not self.ignore:
            raise InputError("Unreviewed slices can become the ignore label only in a data set that has one: set 'ignore' to true.")
        if self.split.folds < 2 or not 0 <= self.split.test_share < 1:
            raise InputError(
                f"Expected at least 2 folds and a test share from 0 to below 1, got {self.split.folds} and {self.split.test_share}."
            )

    @property
    def folder_name(self) -> str:
        """``DatasetNNN_Name``."""
        return f"Dataset{self.number:03d}_{self.name}"

    @property
    def ignore_value(self) -> int | None:
        """The ignore label's value; None if the data set has none."""
        return len(self.labels) + 1 if self.ignore else None

    @property
    def class_order(self) -> tuple[int, ...]:
        """The value that each region writes, see `regions_class_order`."""
        if self.regions_class_order:
            return self.regions_class_order
        own = [set(region.values).difference(*(later.values for later in self.regions[n + 1 :])) for n, region in enumerate(self.regions)]
        if any(len(values) != 1 for values in own):
            raise InputError(
                "The order of the regions does not tell which value each of them writes into a prediction: list larger regions before the "
                "regions within, so that each has one value that no later one has, or give 'regions_class_order'."
            )
        return tuple(values.pop() for values in own)

    def rule_of(self, value: int) -> LabelRule:
        """The rule with a value."""
        return next(rule for rule in self.labels if rule.value == value)

    def nnunet_labels(self) -> dict[str, int | list[int]]:
        """``labels`` of nnU-Net's dataset.json."""
        found: dict[str, int | list[int]] = {"background": 0}
        if self.regions:
            found.update({region.name: list(region.values) if len(region.values) > 1 else region.values[0] for region in self.regions})
        else:
            found.update({rule.name: rule.value for rule in sorted(self.labels, key=lambda rule: rule.value)})
        if self.ignore_value is not None:
            found["ignore"] = self.ignore_value
        return found

    def to_json(self) -> dict:
        """Plain JSON; `from_json` reads it back."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, stored: dict) -> DataSetPlan:
        """Read back what `to_json` wrote, or what a person wrote; what is left out has its default.

        Raises:
            InputError: if a field is unknown, missing or of the wrong kind, or the plan is not valid.
        """
        try:
            fields = Fields(stored, "the plan")
            if (version := fields.whole("format", default=_FORMAT)) != _FORMAT:
                raise InputError(f"It has format {version}; this version of SAM2Annotate reads format {_FORMAT}.")
            fields.require_only("format", *_names_of(cls))
            return cls(
                fields.whole("number", 0, 10**6),
                fields.text("name"),
                tuple(fields.texts("channels")),
                tuple(_label_of(one) for one in fields.objects("labels")),
                fields.text("file_ending", cls.file_ending),
                tuple(_region_of(one) for one in fields.objects("regions", [])),
                tuple(_whole_numbers(fields, "regions_class_order", [])),
                fields.flag("ignore", cls.ignore),
                fields.text("overlap", cls.overlap),
                fields.text("unreviewed", cls.unreviewed),
                _split_of(fields.object("split", {})),
            )
        except InputError as exc:
            raise InputError(
                f"The plan is no plan of a data set: {exc}", "Compare it with one that 'sam2annotate nnunet export' wrote."
            ) from exc

    def _require_labels(self) -> None:
        values = sorted(rule.value for rule in self.labels)
        if not values or values != list(range(1, len(values) + 1)):
            raise InputError(f"The values of the labels must be 1, 2, 3, ... without a gap (0 is the background), got {values}.")
        if len(values) > 254:
            raise InputError(f"A data set can have 254 labels, the plan has {len(values)}.")
        names = [rule.name for rule in self.labels]
        _require_unique("label", names)
        for name in (*names, *(region.name for region in self.regions)):
            if not is_text(name) or len(name) > _LONGEST_NAME or any(ord(letter) < 32 for letter in name):
                raise InputError(f"{name[:60]!r} cannot be the name of a label or region: use one line of up to {_LONGEST_NAME} letters.")
            if not name.strip() or name.strip().lower() in _RESERVED:
                raise InputError(f"A label or region cannot be called '{name}': the name is empty, or nnU-Net has another use for it.")

    def _require_regions(self) -> None:
        if not self.regions:
            if self.regions_class_order:
                raise InputError("'regions_class_order' is given, but there are no regions.")
            return
        _require_unique("region", [region.name for region in self.regions])
        known, used = {rule.value for rule in self.labels}, {value for region in self.regions for value in region.values}
        if used != known or any(len(set(region.values)) != len(region.values) or not region.values for region in self.regions):
            raise InputError(
                f"Together the regions must hold each label's value, and no other: they hold {sorted(used)}, the labels {sorted(known)}."
            )
        if all(len(region.values) == 1 for region in self.regions):
            raise InputError("Each region has one value only, so plain labels say the same. Leave the regions out.")
        order = self.class_order
        if len(order) != len(self.regions) or any(value not in region.values for value, region in zip(order, self.regions, strict=True)):
            raise InputError(
                f"'regions_class_order' needs for each region one of its values, in the order of the regions; got {list(order)}."
            )


def read_plan(path: str | Path) -> DataSetPlan:
    """Read a plan's JSON file. Raises InputError."""
    try:
        return DataSetPlan.from_json(read_json(path, "the plan"))
    except InputError as exc:
        raise InputError(f"'{path}': {exc}") from exc


def write_plan(plan: DataSetPlan, path: str | Path) -> None:
    """Write a plan as JSON for people to read, whole or not at all. Raises OutputError."""
    write_text_atomically(path, plan_text(plan))


def plan_text(plan: DataSetPlan) -> str:
    """What `write_plan` writes."""
    return json.dumps(plan.to_json(), indent=1) + "\n"


def channel_name(modality: str | None, sequence: str = "") -> str:
    """A channel's name by DICOM modality: "CT" for CT, so that nnU-Net normalizes it as such; else the sequence, or the modality."""
    return "CT" if modality == "CT" else sequence.strip() or modality or "image"


def _require_one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"Unknown {what} '{value}': expected one of {', '.join(known)}.")


def _require_unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise InputError(f"Two {what}s are called '{name}'. Give each a name of its own.")
        seen.add(name.casefold())


def _require_lists(**fields: object) -> None:
    for name, value in fields.items():
        if not isinstance(value, tuple):
            raise InputError(f"'{name}' of a plan is a list, got {value!r}.")


def _label_of(fields: Fields) -> LabelRule:
    fields.require_only(*_names_of(LabelRule))
    return LabelRule(
        fields.whole("value", 0, 65535),
        fields.text("name"),
        tuple(fields.texts("segments", [])),
        tuple(fields.texts("codes", [])),
        fields.flag("merge", LabelRule.merge),
        fields.flag("required", LabelRule.required),
    )


def _region_of(fields: Fields) -> Region:
    fields.require_only(*_names_of(Region))
    return Region(fields.text("name"), tuple(_whole_numbers(fields, "values")))


def _split_of(fields: Fields) -> SplitRule:
    fields.require_only(*_names_of(SplitRule))
    share = float(fields.number("test_share", SplitRule.test_share))
    return SplitRule(fields.whole("folds", 0, 10**6, SplitRule.folds), share, fields.whole("seed", default=SplitRule.seed))


def _whole_numbers(fields: Fields, name: str, *default: list) -> list[int]:
    values = fields.items(name, *default)
    if not all(is_whole(value, 0, 65535) for value in values):
        raise InputError(f"{fields.what}: '{name}' should be a list of whole numbers.")
    return values


def _names_of(kind: type) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)  # type: ignore[attr-defined]
