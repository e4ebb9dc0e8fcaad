"""Names of a study's units of work, and the stages they are done in. Imports the config and errors."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError
from ...simulation.worst_first import has_worst_first
from ..configuration.config import NO_EDITS, REFERENCE, StudyConfig
from ..configuration.config_learning import AS_IT_CAME

STAGES = ("first", "joint", "scenarios", "models")
# Units of the blocks of `config_learning`.
LEARNING_KINDS = ("prompt_learning", "auto_prompts", "prototypes", "one_volume", "series")
# Units of the block `crowd`: masks by number of people; people without a model.
CROWD_KINDS = ("crowd", "crowd_people")


@dataclass(frozen=True)
class Unit:
    """A unit's name, taken apart.

    Args:
        kind: ``prompts``, ``sweep``, ``joint``, ``scenarios``, ``comparison``, ``worst_first``, ``prompt_learning``, ``auto_prompts``,
            ``prototypes``, ``one_volume``, ``series``, ``crowd``, ``crowd_people`` or ``models``.
        name: of the scenario, workflow, way or model; the number of people of a crowd; empty for the others.
        rule: index of the comparison's rule of acceptance.
    """

    kind: str
    name: str = ""
    rule: int = 0

    @property
    def needs_calibration(self) -> bool:
        """Whether it depends on what the sweeps found."""
        return self.kind == "joint" or (self.kind in ("scenarios", "models") and self.name not in (NO_EDITS, REFERENCE))


def units_of_stage(config: StudyConfig, stage: str) -> tuple[str, ...]:
    """Names of the units of a stage, in the order in which they are done. Raises InputError for an unknown stage."""
    if stage == "first":
        units = ["prompts"] if config.prompts else []
        units += ["sweep"] if config.calibration else []
        if config.comparison:
            units += [f"comparison/{flow.name}/{n}" for flow in config.comparison.workflows for n in range(len(config.comparison.rules))]
            if config.comparison.worst_first:
                units += [f"worst_first/{flow.name}" for flow in config.comparison.workflows if has_worst_first(flow)]
        return (*units, *_learning_units(config), *_crowd_units(config))
    if stage == "joint":
        return ("joint",) if config.calibration and config.calibration.joint == "to_target" else ()
    if stage == "scenarios":
        return tuple(f"scenarios/{name}" for name in config.scenarios)
    if stage == "models":
        return tuple(f"models/{name}" for name in config.models)
    raise InputError(f"Unknown stage '{stage}': expected one of {', '.join(STAGES)}.")


def _learning_units(config: StudyConfig) -> list[str]:
    """Those of `config_learning`."""
    units: list[str] = []
    if config.prompt_learning:
        units += [f"prompt_learning/{name}" for name in (AS_IT_CAME, *(one.name for one in config.prompt_learning.settings))]
    if config.auto_prompts:
        units += [f"auto_prompts/{method}" for method in config.auto_prompts.tried]
    if config.prototypes:
        units += [f"prototypes/{way}" for way in config.prototypes.ways]
    if config.corrections_saved:
        units += ["one_volume"] if config.corrections_saved.learn_after else []
        units += ["series"] if config.corrections_saved.volumes else []
    return units


def _crowd_units(config: StudyConfig) -> list[str]:
    """Those of `config_crowd`."""
    if config.crowd is None:
        return []
    return [*(f"crowd/{people}" for people in config.crowd.people), *(["crowd_people"] if config.crowd.crowds else [])]


def parse_unit(config: StudyConfig, unit: str) -> Unit:
    """Take a unit's name apart. Raises InputError if the study has no such unit."""
    known = [name for stage in STAGES for name in units_of_stage(config, stage)]
    if unit not in known:
        raise InputError(f"The study has no unit '{unit}'. It has: {', '.join(known) or 'none'}.")
    kind, *rest = unit.split("/")
    return Unit(kind, rest[0] if rest else "", int(rest[1]) if len(rest) > 1 else 0)
