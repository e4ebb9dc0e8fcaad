"""nnU-Net's trainer with the length, batch size, mirroring and seed asked for. Imports torch, numpy and nnunetv2; runs in its process.

Loaded from its file by `process_entry`, never by our library. The settings come as JSON in the variable SAM2ANNOTATE_TRAINER; what is
absent stays as nnU-Net has it.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

# nnU-Net's attributes that a setting stands for as it is.
_SETTINGS = {
    "num_epochs": "epochs",
    "num_iterations_per_epoch": "iterations_per_epoch",
    "num_val_iterations_per_epoch": "validation_iterations",
    "save_every": "checkpoint_every",
}


class SAM2AnnotateTrainer(nnUNetTrainer):
    """nnU-Net's default trainer with settings from outside.

    The arguments must bear nnU-Net's names: it reads them off this signature, to write them into checkpoints.
    """

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device | None = None):
        super().__init__(plans, configuration, fold, dataset_json, device or torch.device("cuda"))
        settings = json.loads(os.environ.get("SAM2ANNOTATE_TRAINER", "{}"))
        for name, setting in _SETTINGS.items():
            if setting in settings:
                setattr(self, name, settings[setting])
        self.mirroring: bool = settings.get("mirroring", True)
        self.seed: int | None = settings.get("seed")
        if settings.get("batch_size"):
            self.configuration_manager.configuration["batch_size"] = settings["batch_size"]
        if settings.get("threads"):
            torch.set_num_threads(settings["threads"])

    def initialize(self) -> None:
        """Build the network, from the seed's own weights if there is a seed."""
        self._seed_everything(0)
        super().initialize()

    def on_train_start(self) -> None:
        """Begin, or go on after an interruption, with random numbers that differ between the two."""
        super().on_train_start()
        self._seed_everything(1 + self.current_epoch)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple:  # noqa: N802 - nnU-Net's name
        """nnU-Net's own augmentation; without mirroring, in training and in prediction, where that is switched off."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        if not self.mirroring:
            mirror_axes = self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint whole or not at all: a process killed in the middle leaves the one before, from which it can go on."""
        partial = f"{filename}.partial"
        super().save_checkpoint(partial)
        if Path(partial).is_file():  # not where checkpoints are switched off
            Path(partial).replace(filename)

    def on_train_end(self) -> None:
        """Finish, and name the stock trainer in the weights: it builds the same network, so anyone's nnU-Net can predict with them."""
        super().on_train_end()
        final = Path(self.output_folder) / "checkpoint_final.pth"
        if final.is_file():
            # Written a moment ago by this very process; nnU-Net's checkpoints hold more than weights.
            checkpoint = torch.load(final, map_location="cpu", weights_only=False)  # nosec B614
            checkpoint["trainer_name"] = nnUNetTrainer.__name__
            partial = final.with_name(f"{final.name}.partial")
            torch.save(checkpoint, partial)
            partial.replace(final)

    def _seed_everything(self, offset: int) -> None:
        if self.seed is not None:
            seed = (self.seed + offset) % 2**32
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - nnU-Net and its augmentation draw from numpy's global numbers
            torch.manual_seed(seed)
