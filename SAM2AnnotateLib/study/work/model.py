"""The model that a study's configuration names, loaded once a process. Imports engine, study.config_parts and errors."""

from __future__ import annotations

from functools import lru_cache

from ...engine import SegmentationEngine, load_engine
from ...engine.models.checkpoints import find_checkpoint
from ...errors import InputError
from ..configuration.config_parts import ModelConfig


@lru_cache(maxsize=1)
def study_engine(model: ModelConfig, device: str | None) -> SegmentationEngine:
    """Load the model; the same arguments again give the one that is loaded.

    Args:
        model: which.
        device: to compute on; None takes the configuration's.

    Raises:
        InputError: if the image size would depend on the device: a study that goes on elsewhere must go on with the same model.
        CheckpointError, EngineError, MissingPackageError: see `load_engine`.
    """
    size = model.image_size
    if size is None:
        size = find_checkpoint(model.checkpoint, model.architecture).image_size
    if size is None:
        raise InputError(
            f"The weights '{model.checkpoint}' do not tell their image size. Name it in study.yaml as model.image_size, such as 1024."
        )
    return load_engine(
        model.checkpoint,
        architecture=model.architecture,
        device=device or model.device,
        precision=model.precision,
        image_size=size,
        adapter=model.adapter,
    )
