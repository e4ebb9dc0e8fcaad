"""The block ``downstream`` of a study's configuration: how the nnU-Nets are trained. Imports nnunet, errors and yaml_config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...nnunet.runs.preparation import Preparation
from ...nnunet.runs.training_options import TrainingOptions
from ...yaml_config.fields import build, list_of, read_bounds, read_flag, read_number, read_text, read_whole

_OPTIONS = (
    "configuration", "folds", "epochs", "iterations_per_epoch", "validation_iterations", "batch_size", "mirroring", "seed", "processes",
    "device", "checkpoint_every", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class DownstreamConfig:
    """One nnU-Net is trained on the truth and one on the labels of each scenario, all in the same way.

    Args:
        channel: what the images are, such as CT or T1; nnU-Net normalizes ``CT`` by fixed intensities and all others by z-score.
        data_set_number: nnU-Net's number of the first data set; the others follow.
        window: lowest and highest intensity kept, or None.
        crop_to: folder with the mask of an organ for each case, CASE.nii.gz, to whose box images are cropped; or None.
        margin_mm: how far that box reaches beyond the organ.

    The others, and their defaults, are those of `nnunet.training_options.TrainingOptions`.

    Raises:
        InputError: if nnU-Net would not take it.
    """

    channel: str
    data_set_number: int = 501
    configuration: str = TrainingOptions.configuration
    folds: tuple[int | str, ...] = TrainingOptions.folds
    epochs: int = TrainingOptions.epochs
    iterations_per_epoch: int = TrainingOptions.iterations_per_epoch
    validation_iterations: int = TrainingOptions.validation_iterations
    batch_size: int | None = TrainingOptions.batch_size
    mirroring: bool = TrainingOptions.mirroring
    seed: int | None = TrainingOptions.seed
    processes: int | None = TrainingOptions.processes
    device: str = TrainingOptions.device
    checkpoint_every: int = TrainingOptions.checkpoint_every
    threads: int | None = TrainingOptions.threads
    window: tuple[float, float] | None = None
    crop_to: Path | None = None
    margin_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.data_set_number <= 999:
            raise InputError(f"Expected a 'data_set_number' from 1 to 999, got {self.data_set_number}.")
        self.training_options()

    @classmethod
    def from_mapping(cls, content: object, place: str = "downstream") -> DownstreamConfig:
        """Raises InputError."""
        texts = dict.fromkeys(("channel", "configuration", "device"), read_text)
        wholes = dict.fromkeys(
            ("data_set_number", "epochs", "iterations_per_epoch", "validation_iterations", "batch_size", "seed", "processes",
             "checkpoint_every", "threads"), read_whole,
        )  # fmt: skip
        others = {"folds": _read_folds, "mirroring": read_flag, "window": read_bounds, "crop_to": _read_path, "margin_mm": read_number}
        return build(cls, content, place, {**texts, **wholes, **others})

    def training_options(self) -> TrainingOptions:
        """As `nnunet.training.train` takes it."""
        preparation = Preparation(self.window, self.crop_to is not None, self.margin_mm)
        return TrainingOptions(**{name: getattr(self, name) for name in _OPTIONS}, preparation=preparation)


def _read_path(value: object, place: str) -> Path:
    return Path(read_text(value, place))


def _read_folds(value: object, place: str) -> tuple[int | str, ...]:
    return ("all",) if value == "all" else list_of(read_whole)(value, place)
