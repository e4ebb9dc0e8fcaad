"""What nnU-Net's log says about a training in progress. Imports the standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf)"
_EPOCH = re.compile(r"(?:^|: )\s*Epoch (\d+)\s*$")
_LOSS = re.compile(rf"\b(train_loss|val_loss) ({_NUMBER})")
_DICE = re.compile(r"\bPseudo dice \[(.*)\]")
_TIME = re.compile(r"\bEpoch time: ([\d.]+) s")
# How many of the last epochs the remaining time is reckoned from: the first is slow, and other programs come and go.
_EPOCHS_FOR_PACE = 5


@dataclass(frozen=True)
class TrainingProgress:
    """A finished epoch.

    Args:
        epoch: which one, counted from 0.
        epochs: how many there are in all.
        train_loss: nnU-Net's loss on training patches; falls towards -1.
        val_loss: the same on validation patches.
        pseudo_dice: Dice of each label on validation patches, 0..1; NaN for a label that did not occur. No score of whole cases.
        epoch_seconds: how long it took.
        seconds_left: estimate from the last epochs, without the prediction of validation cases at the end.
    """

    epoch: int
    epochs: int
    train_loss: float
    val_loss: float
    pseudo_dice: tuple[float, ...]
    epoch_seconds: float
    seconds_left: float


class TrainingLog:
    """Follows the lines of a training's output, with or without a time stamp before them.

    Args:
        epochs: how many epochs the training has.
    """

    def __init__(self, epochs: int):
        self._epochs = epochs
        self._epoch: int | None = None
        self._values: dict[str, float] = {}
        self._dice: tuple[float, ...] = ()
        self._seconds: list[float] = []

    def feed(self, line: str) -> TrainingProgress | None:
        """Take one line; at the last line of an epoch return what it came to."""
        if found := _EPOCH.search(line):
            self._epoch, self._values, self._dice = int(found[1]), {}, ()
        elif found := _LOSS.search(line):
            self._values[found[1]] = float(found[2])
        elif found := _DICE.search(line):
            bare = re.sub(r"np\.float\d+\(|\)", "", found[1])  # numpy 2 writes np.float32(0.5)
            self._dice = tuple(float(number) for number in re.findall(_NUMBER, bare))
        elif (found := _TIME.search(line)) and self._epoch is not None:
            self._seconds.append(float(found[1]))
            recent = self._seconds[-_EPOCHS_FOR_PACE:]
            pace = sum(recent) / len(recent)
            return TrainingProgress(
                epoch=self._epoch,
                epochs=self._epochs,
                train_loss=self._values.get("train_loss", float("nan")),
                val_loss=self._values.get("val_loss", float("nan")),
                pseudo_dice=self._dice,
                epoch_seconds=self._seconds[-1],
                seconds_left=pace * max(0, self._epochs - 1 - self._epoch),
            )
        return None
