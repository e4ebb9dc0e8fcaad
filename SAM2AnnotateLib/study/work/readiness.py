"""What a study will need later is asked for before hours of work, not after. Imports engine, nnunet, downstream, folder and errors."""

from __future__ import annotations

import importlib.util

from ...engine.loading import INSTALL_HINT, package_for
from ...engine.models.checkpoints import find_checkpoint, require_local_file
from ...errors import MissingPackageError
from ...nnunet.runs.process import INSTALL_HINT as NNUNET_HINT
from ..records.folder import Study
from .downstream import require_organ_masks

_SIMULATION = ("first", "joint", "scenarios")


def require_ready(study: Study, *, models: bool, here: bool) -> None:
    """See that what is left to do can be done.

    Args:
        study: the study.
        models: whether models are to be trained, too.
        here: whether this machine does the work: its packages and weights are looked for then.

    Raises:
        MissingPackageError: if a package is not installed.
        CheckpointError: if the weights are unknown, or not on this machine.
        InputError: if an organ mask is missing.
    """
    if here and any(_is_left(study, stage) for stage in _SIMULATION):
        _require_packages("Simulating an annotator", INSTALL_HINT, "torch")
        model = study.config.model
        checkpoint = find_checkpoint(model.checkpoint, model.architecture)
        if checkpoint.architecture is not None:
            _require_packages("Simulating an annotator", INSTALL_HINT, package_for("auto", checkpoint.architecture))
        require_local_file(checkpoint)
        if study.config.crowd is not None:
            _require_packages("A simulated crowd", "pip install 'sam2annotate[crowd]'", "sqlalchemy", "alembic")
    if models and _is_left(study, "models"):
        require_organ_masks(study)
        if here:
            _require_packages("Training the models of a study", NNUNET_HINT, "nnunetv2")


def _is_left(study: Study, stage: str) -> bool:
    return any(not study.is_finished(unit, case_id) for unit in study.units_of_stage(stage) for case_id in study.case_ids_of(unit))


def _require_packages(feature: str, install: str, *names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingPackageError(f"{feature} needs the package '{name}', which is not installed. Install it with: {install}")
