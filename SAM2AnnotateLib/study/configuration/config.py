"""StudyConfig: all that a person decides about a study, as ``study.yaml`` says it. Imports its blocks, simulation, geometry, errors.

Every block checks itself once built; paths stay as they are written until `StudyConfig.resolved`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from ...errors import InputError
from ...geometry.slicing import AXIS_NAMES
from ...intensity.mapping import require_window
from ...simulation.effort import GestureSeconds
from ...simulation.workflow import PROMPTS, Workflow
from ...yaml_config.fields import build, list_of, read_number, read_text, read_whole, read_window
from ...yaml_config.names import require_names
from .config_calibration import JOINT_RULES, NO_EDITS, REFERENCE, CalibrationConfig
from .config_crowd import CrowdConfig
from .config_data import DataConfig, FolderPair
from .config_downstream import DownstreamConfig
from .config_learning import AutoPromptsConfig, CorrectionsSavedConfig, PromptLearningConfig, PrototypesConfig
from .config_parts import ComparisonConfig, ComputeConfig, ModelConfig, ObjectConfig, read_effort, read_workflow

__all__ = [
    "JOINT_RULES",
    "NO_EDITS",
    "REFERENCE",
    "AutoPromptsConfig",
    "CalibrationConfig",
    "ComparisonConfig",
    "ComputeConfig",
    "CorrectionsSavedConfig",
    "CrowdConfig",
    "DataConfig",
    "DownstreamConfig",
    "FolderPair",
    "ModelConfig",
    "ObjectConfig",
    "PromptLearningConfig",
    "PrototypesConfig",
    "StudyConfig",
]


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Args:
        name: for tables and data sets: letters, digits, ``_`` and ``-``.
        data: the cases.
        axis: to step along, see `SliceStack.along`; a case of a table may have its own.
        window: gray window, see `choose_mapping`; a case of a table may have its own.
        objects: what counts as an object.
        model: the model.
        seed: of every random number.
        tolerance_mm: of the NSD.
        correction_mm: errors no farther than this from the truth's boundary are left uncorrected.
        effort: seconds for each gesture.
        prompts: kinds that are compared on the center slice; none leaves that stage out.
        clicks: most clicks in that comparison.
        workflow: how the annotator works in sweeps and scenarios.
        calibration: how thresholds are found; None leaves out sweeps and scenarios.
        comparison: workflows side by side; None leaves it out.
        prompt_learning: what prompts give after learning from a few slices (study B); None leaves it out.
        auto_prompts: slices that nobody annotated (study B); None leaves it out.
        prototypes: one prompt for the data set (study E); None leaves it out.
        corrections_saved: the annotator whose model learns; None leaves it out.
        crowd: boxes from many people (study C); None leaves it out.
        downstream: the nnU-Nets; None leaves them out.
        compute: the machine's share in it.

    Raises:
        InputError: if a value is out of its range, or a block lacks another.
    """

    name: str
    data: DataConfig
    axis: str = "k"
    window: str = "auto"
    objects: ObjectConfig = field(default_factory=ObjectConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    seed: int = 0
    tolerance_mm: float = 1.0
    correction_mm: float = 1.0
    effort: GestureSeconds = field(default_factory=GestureSeconds)
    prompts: tuple[str, ...] = ()
    clicks: int = 5
    workflow: Workflow = field(default_factory=lambda: Workflow("study"))
    calibration: CalibrationConfig | None = None
    comparison: ComparisonConfig | None = None
    prompt_learning: PromptLearningConfig | None = None
    auto_prompts: AutoPromptsConfig | None = None
    prototypes: PrototypesConfig | None = None
    corrections_saved: CorrectionsSavedConfig | None = None
    crowd: CrowdConfig | None = None
    downstream: DownstreamConfig | None = None
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self) -> None:
        require_names("study", [self.name])
        require_axis(self.axis)
        require_window(self.window)
        if self.seed < 0:
            raise InputError(f"Expected a 'seed' of 0 or more, got {self.seed}.")
        if self.tolerance_mm <= 0 or self.correction_mm < 0:
            raise InputError(
                "Expected a 'tolerance_mm' above 0 and a 'correction_mm' of 0 or more, "
                f"got {self.tolerance_mm:g} and {self.correction_mm:g}."
            )
        unknown = [prompt for prompt in self.prompts if prompt not in PROMPTS]
        if unknown or len(set(self.prompts)) != len(self.prompts):
            raise InputError(f"'prompts' lists each of {', '.join(PROMPTS)} once at most, got {', '.join(self.prompts)}.")
        if not 1 <= self.clicks <= 100:
            raise InputError(f"Expected 1 to 100 'clicks', got {self.clicks}.")
        self._require_downstream()

    @classmethod
    def from_mapping(cls, content: object) -> StudyConfig:
        """A configuration as YAML or JSON give it. Raises InputError with the place of what is wrong."""
        return build(
            cls,
            content,
            "",
            {
                "name": read_text,
                "data": DataConfig.from_mapping,
                "axis": read_text,
                "window": read_window,
                "objects": ObjectConfig.from_mapping,
                "model": ModelConfig.from_mapping,
                "seed": read_whole,
                "tolerance_mm": read_number,
                "correction_mm": read_number,
                "effort": read_effort,
                "prompts": list_of(read_text),
                "clicks": read_whole,
                "workflow": lambda value, place: read_workflow(value, place, name="study"),
                "calibration": CalibrationConfig.from_mapping,
                "comparison": ComparisonConfig.from_mapping,
                "prompt_learning": PromptLearningConfig.from_mapping,
                "auto_prompts": AutoPromptsConfig.from_mapping,
                "prototypes": PrototypesConfig.from_mapping,
                "corrections_saved": CorrectionsSavedConfig.from_mapping,
                "crowd": CrowdConfig.from_mapping,
                "downstream": DownstreamConfig.from_mapping,
                "compute": ComputeConfig.from_mapping,
            },
        )

    @property
    def scenarios(self) -> tuple[str, ...]:
        """Names of the scenarios, from no edits to most."""
        return (NO_EDITS, *self.calibration.targets) if self.calibration else ()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the nnU-Nets: the one of the truth, then one for each scenario."""
        return (REFERENCE, *self.scenarios) if self.downstream else ()

    def resolved(self, base_folder: Path) -> StudyConfig:
        """With the paths of weights, adapter and organ masks made absolute; `base_folder` is that of study.yaml."""
        config = self
        if self.model.checkpoint.lower().endswith((".pt", ".safetensors")) and (base_folder / self.model.checkpoint).is_file():
            weights = str((base_folder / self.model.checkpoint).resolve())
            config = replace(config, model=replace(self.model, checkpoint=weights))
        if self.model.adapter is not None:
            config = replace(config, model=replace(config.model, adapter=str((base_folder / self.model.adapter).resolve())))
        if self.downstream is not None and self.downstream.crop_to is not None:
            masks = (base_folder / self.downstream.crop_to).resolve()
            config = replace(config, downstream=replace(self.downstream, crop_to=masks))
        return config

    def _require_downstream(self) -> None:
        if self.downstream is None:
            return
        if self.calibration is None:
            raise InputError("'downstream' trains on the labels of scenarios, which come from 'calibration'. Give it, or leave out both.")
        if not self.data.values:
            raise InputError("'downstream' needs the names of the label values in 'data.values'.")
        if self.downstream.data_set_number + len(self.models) - 1 > 999:
            raise InputError(
                f"{len(self.models)} data sets from number {self.downstream.data_set_number} on go beyond nnU-Net's 999. Begin lower."
            )


def require_axis(axis: str) -> None:
    """Raise InputError unless `SliceStack.along` knows this axis."""
    if axis.lower() not in AXIS_NAMES:
        raise InputError(f"Unknown axis '{axis}': expected one of {', '.join(AXIS_NAMES)}.")
