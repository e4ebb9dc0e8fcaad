"""TrainingOptions: what can be chosen about a training, and how it reaches nnU-Net. Imports the standard library and errors."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ...errors import InputError
from .preparation import Preparation

OWN_TRAINER = "SAM2AnnotateTrainer"
CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
DEVICES = ("cpu", "cuda", "mps")
# The settings that our own trainer reads; another trainer knows its own.
_TRAINER_SETTINGS = (
    "epochs", "iterations_per_epoch", "validation_iterations", "batch_size", "mirroring", "seed", "checkpoint_every", "threads",
)  # fmt: skip
# What may differ when a training is taken up again: it changes how fast the same model is trained, not which.
_MAY_CHANGE = ("folds", "device", "threads", "processes", "checkpoint_every")


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained; the defaults are nnU-Net's own.

    Args:
        configuration: one of `CONFIGURATIONS`.
        folds: folds of the cross-validation to train, each a number from 0 or "all" (every case, no validation).
        epochs: how many epochs.
        iterations_per_epoch: training batches in one epoch.
        validation_iterations: validation batches after it.
        batch_size: patches in a batch; None takes what nnU-Net's plan says.
        trainer: nnU-Net's name of a trainer class. Only `OWN_TRAINER` takes the options about length, batch, mirroring and seed.
        device: one of `DEVICES`.
        mirroring: mirror patches in training and prediction; off where left and right differ.
        seed: of the weights and, with `processes` 0, of everything random, so that a run can be repeated on the same machine.
        checkpoint_every: epochs between two checkpoints: what a killed training loses at most.
        processes: helper processes for preprocessing and augmentation; 0 augments in the training process, None is nnU-Net's choice.
        threads: CPU threads of the network; None takes all cores.
        preparation: what is done to images before nnU-Net sees them.

    Raises:
        InputError: if a value is out of its range, or a trainer that is not ours is to take what only ours does.
    """

    configuration: str = "3d_fullres"
    folds: tuple[int | str, ...] = (0, 1, 2, 3, 4)
    epochs: int = 1000
    iterations_per_epoch: int = 250
    validation_iterations: int = 50
    batch_size: int | None = None
    trainer: str = OWN_TRAINER
    device: str = "cuda"
    mirroring: bool = True
    seed: int | None = None
    checkpoint_every: int = 10
    processes: int | None = None
    threads: int | None = None
    preparation: Preparation = field(default_factory=Preparation)

    def __post_init__(self) -> None:
        if self.configuration not in CONFIGURATIONS:
            raise InputError(f"Unknown configuration '{self.configuration}': expected one of {', '.join(CONFIGURATIONS)}.")
        if self.device not in DEVICES:
            raise InputError(f"Unknown device '{self.device}': expected one of {', '.join(DEVICES)}.")
        bad_folds = [fold for fold in self.folds if fold != "all" and not (isinstance(fold, int) and fold >= 0)]
        if not self.folds or bad_folds or len(set(self.folds)) != len(self.folds):
            raise InputError(f"Unknown folds {self.folds}: expected different numbers from 0, or 'all'.")
        for name, lowest in (("epochs", 1), ("iterations_per_epoch", 1), ("validation_iterations", 1), ("checkpoint_every", 1)):
            self._require_at_least(name, lowest)
        for name, lowest in (("batch_size", 1), ("threads", 1), ("processes", 0), ("seed", 0)):
            if getattr(self, name) is not None:
                self._require_at_least(name, lowest)
        if self.trainer != OWN_TRAINER:
            default = {option.name: option.default for option in fields(self)}
            taken = [name for name in _TRAINER_SETTINGS if getattr(self, name) != default[name]]
            if taken:
                raise InputError(f"The trainer '{self.trainer}' does not take {', '.join(taken)}: only {OWN_TRAINER} does. Leave out one.")

    @classmethod
    def study(cls, **changes: Any) -> TrainingOptions:
        """The settings of the study that this project follows: 3d_fullres, 5 folds of 150 epochs, batch size 8, no mirroring."""
        return replace(cls(epochs=150, batch_size=8, mirroring=False), **changes)

    def trainer_environment(self) -> dict[str, str]:
        """The variable that our trainer reads its settings from; empty for another trainer."""
        if self.trainer != OWN_TRAINER:
            return {}
        settings = {name: getattr(self, name) for name in _TRAINER_SETTINGS}
        return {"SAM2ANNOTATE_TRAINER": json.dumps(settings)}

    def as_json_object(self) -> dict:
        """What is kept beside the model, to predict in the same way and to notice a different second call."""
        kept = {name: value for name, value in asdict(self).items() if name not in _MAY_CHANGE}
        return {**kept, "preparation": self.preparation.as_json_object()}

    def _require_at_least(self, name: str, lowest: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
            raise InputError(f"{name.replace('_', ' ').capitalize()}: expected a whole number of {lowest} or more, got {value!r}.")
