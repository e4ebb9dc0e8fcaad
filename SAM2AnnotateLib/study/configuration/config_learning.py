"""The blocks on learning: `prompt_learning`, `auto_prompts`, `prototypes`, `corrections_saved`. Imports errors, simulation, adaptation.

Learning takes `steps` or `seconds`. With steps the same machine or another gives the same results; seconds are what a person waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...adaptation import LearningOptions
from ...errors import InputError
from ...simulation.acceptance import Acceptance
from ...yaml_config.fields import build, list_of, read_flag, read_number, read_text, read_whole
from ...yaml_config.names import require_names

TRAINED_PARTS = ("decoder", "prompt_encoder")
# What 15 s of one idle core make of the bundled model, about.
DEFAULT_STEPS = 400
# The model as it came, without learning.
AS_IT_CAME = "as_it_came"
AUTO_METHODS = ("threshold", "sap_net", "learned")
# SAP-Net from the prototypes alone up to all of it but the last part, which is `sap_net`.
LADDER = ("sap_prototypes", "sap_position", "sap_biased")
# One prompt on every volume; prototypes alone; prototypes with what was learned from them.
PROTOTYPE_WAYS = ("prompt_each", "prototype", "prototype_learned")


@dataclass(frozen=True)
class LearningSetting:
    """One way to learn from a few slices of a volume.

    Args:
        trained: one of `TRAINED_PARTS`.
        slices: that are annotated.
        steps: of learning, or None.
        seconds: of learning, or None.
    """

    trained: str
    slices: int
    steps: int | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """For units and tables: ``decoder-5-400steps``."""
        budget = f"{self.steps}steps" if self.steps is not None else f"{self.seconds:g}s".replace(".", "_")
        return f"{self.trained}-{self.slices}-{budget}"

    @property
    def options(self) -> LearningOptions:
        """As `learn` takes them."""
        return learning_options(self.steps, self.seconds, self.trained)


@dataclass(frozen=True)
class PromptLearningConfig:
    """Study B, "assist": what prompts give on the other slices of a volume, after learning from a few.

    Args:
        slices: numbers of annotated slices.
        trained: parts that are trained, see `TRAINED_PARTS`.
        steps: numbers of steps of learning; empty takes `seconds`.
        seconds: of learning.
        clicks: most points, alone and with a box.
    """

    slices: tuple[int, ...] = (2, 5)
    trained: tuple[str, ...] = ("decoder", "prompt_encoder")
    steps: tuple[int, ...] = (DEFAULT_STEPS,)
    seconds: tuple[float, ...] = ()
    clicks: int = 5

    def __post_init__(self) -> None:
        _require_trained(self.trained)
        if not self.slices or not self.trained or len(set(self.slices)) != len(self.slices) or min(self.slices) < 2:
            raise InputError(f"'slices' lists numbers of annotated slices, each 2 or more and once, got {list(self.slices)}.")
        _require_budgets(self.steps, self.seconds)
        if not 1 <= self.clicks <= 100:
            raise InputError(f"Expected 1 to 100 'clicks', got {self.clicks}.")
        require_names("way to learn", [setting.name for setting in self.settings])

    @property
    def settings(self) -> tuple[LearningSetting, ...]:
        """Every combination, in the order of the configuration."""
        budgets = [(steps, None) for steps in self.steps] + [(None, seconds) for seconds in self.seconds]
        return tuple(LearningSetting(part, count, *budget) for part in self.trained for count in self.slices for budget in budgets)

    def setting(self, name: str) -> LearningSetting:
        """The one of this name."""
        return next(one for one in self.settings if one.name == name)

    @classmethod
    def from_mapping(cls, content: object, place: str = "prompt_learning") -> PromptLearningConfig:
        """Raises InputError."""
        readers = {
            "slices": list_of(read_whole),
            "trained": list_of(read_text),
            "steps": list_of(read_whole),
            "seconds": list_of(read_number),
            "clicks": read_whole,
        }
        given: dict = {"steps": ()} if isinstance(content, dict) and content.get("seconds") and not content.get("steps") else {}
        return build(cls, content, place, readers, **given)


@dataclass(frozen=True)
class AutoPromptsConfig:
    """Study B, "auto": slices that nobody annotated, by several methods.

    Args:
        methods: some of `AUTO_METHODS`.
        slices: annotated slices of the volume that each method is given.
        ladder: whether SAP-Net is also tried without its parts, one after another, as the paper does.
    """

    methods: tuple[str, ...] = AUTO_METHODS
    slices: int = 5
    ladder: bool = False

    def __post_init__(self) -> None:
        unknown = [method for method in self.methods if method not in AUTO_METHODS]
        if unknown or not self.methods or len(set(self.methods)) != len(self.methods):
            raise InputError(f"'methods' lists some of {', '.join(AUTO_METHODS)}, each once, got {', '.join(self.methods) or 'none'}.")
        if not 2 <= self.slices <= 1000:
            raise InputError(f"Expected 2 or more annotated 'slices', got {self.slices}.")

    @property
    def tried(self) -> tuple[str, ...]:
        """The methods, and the steps of the ladder if it is wanted."""
        return (*self.methods, *LADDER) if self.ladder else self.methods

    @classmethod
    def from_mapping(cls, content: object, place: str = "auto_prompts") -> AutoPromptsConfig:
        """Raises InputError."""
        return build(cls, content, place, {"methods": list_of(read_text), "slices": read_whole, "ladder": read_flag})


@dataclass(frozen=True)
class PrototypesConfig:
    """Study E: one prompt a volume against one for the data set.

    Args:
        volumes: how many cases, drawn by the study's seed, are annotated and become prototypes; all others are proposed.
        ways: some of `PROTOTYPE_WAYS`.
        steps, seconds: of learning from the prototypes.
    """

    volumes: int = 1
    ways: tuple[str, ...] = PROTOTYPE_WAYS
    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        unknown = [way for way in self.ways if way not in PROTOTYPE_WAYS]
        if unknown or not self.ways or len(set(self.ways)) != len(self.ways):
            raise InputError(f"'ways' lists some of {', '.join(PROTOTYPE_WAYS)}, each once, got {', '.join(self.ways) or 'none'}.")
        if not 1 <= self.volumes <= 100:
            raise InputError(f"Expected 1 to 100 'volumes' as prototypes, got {self.volumes}.")
        self.options  # noqa: B018 - checks itself

    @property
    def options(self) -> LearningOptions:
        """As `learn` takes them."""
        return learning_options(self.steps, self.seconds)

    @classmethod
    def from_mapping(cls, content: object, place: str = "prototypes") -> PrototypesConfig:
        """Raises InputError."""
        readers = {"volumes": read_whole, "ways": list_of(read_text), "steps": read_whole, "seconds": read_number}
        return build(cls, content, place, readers)


@dataclass(frozen=True)
class CorrectionsSavedConfig:
    """The annotator whose model learns: after each volume of a series, and after some corrections inside one volume.

    Args:
        volumes: of a series; the cases are drawn into series by the study's seed, each into one. What is left over makes none. 0: no
            series.
        learn_after: numbers of corrections inside one volume after which is learned; empty leaves that out.
        rule: when a mask is accepted.
        steps, seconds: of each learning.
        trained: one of `TRAINED_PARTS`.
    """

    volumes: int = 6
    learn_after: tuple[int, ...] = (3, 5)
    rule: Acceptance = field(default_factory=lambda: Acceptance(dsc=0.8))
    steps: int | None = None
    seconds: float | None = None
    trained: str = "decoder"

    def __post_init__(self) -> None:
        _require_trained([self.trained])
        if self.volumes != 0 and not 3 <= self.volumes <= 1000:
            raise InputError(f"A series has 3 'volumes' or more (0 leaves the series out), got {self.volumes}.")
        rising = all(first < second for first, second in zip(self.learn_after, self.learn_after[1:], strict=False))
        if not rising or any(number < 2 for number in self.learn_after):
            raise InputError(f"'learn_after' lists rising numbers of corrections, each 2 or more, got {list(self.learn_after)}.")
        if not self.volumes and not self.learn_after:
            raise InputError("Give 'volumes' for series, 'learn_after' for learning inside one volume, or both.")
        self.options  # noqa: B018 - checks itself

    @property
    def options(self) -> LearningOptions:
        """As `learn` takes them."""
        return learning_options(self.steps, self.seconds, self.trained)

    @classmethod
    def from_mapping(cls, content: object, place: str = "corrections_saved") -> CorrectionsSavedConfig:
        """Raises InputError."""
        readers = {
            "volumes": read_whole,
            "learn_after": list_of(read_whole),
            "rule": _read_rule,
            "steps": read_whole,
            "seconds": read_number,
            "trained": read_text,
        }
        return build(cls, content, place, readers)


def learning_options(steps: int | None, seconds: float | None, trained: str = "decoder") -> LearningOptions:
    """Steps, or seconds, or as many steps as a study takes if neither is given. Raises InputError if both are."""
    if steps is not None and seconds is not None:
        raise InputError(f"Give 'steps' or 'seconds' of learning, not both: got {steps} and {seconds:g}.")
    if seconds is not None:
        return LearningOptions(seconds=seconds, trained=trained)
    return LearningOptions(steps=DEFAULT_STEPS if steps is None else steps, trained=trained)


def _require_trained(parts: Sequence[str]) -> None:
    unknown = [part for part in parts if part not in TRAINED_PARTS]
    if unknown or not parts or len(set(parts)) != len(parts):
        raise InputError(f"What is trained is some of {', '.join(TRAINED_PARTS)}, each once, got {', '.join(parts) or 'none'}.")


def _require_budgets(steps: Sequence[int], seconds: Sequence[float]) -> None:
    if not steps and not seconds:
        raise InputError("Give 'steps' or 'seconds' of learning.")
    for one in steps:
        learning_options(one, None)
    for one_s in seconds:
        learning_options(None, one_s)


def _read_rule(content: object, place: str) -> Acceptance:
    return build(Acceptance, content, place, {"dsc": read_number, "nsd": read_number})
