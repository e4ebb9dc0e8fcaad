"""The smaller blocks of a study's configuration: objects, model, comparison, compute. Imports simulation, yaml_config and errors."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError
from ...simulation.acceptance import Acceptance
from ...simulation.effort import GestureSeconds
from ...simulation.workflow import Workflow
from ...yaml_config.fields import build, described, list_of, read_flag, read_number, read_text, read_whole, text_or_number
from ...yaml_config.names import require_names

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class ObjectConfig:
    """What counts as an object.

    Args:
        separate: every connected part of a label is an object of its own (tumors); otherwise all voxels of a label are one object.
        smallest_voxels: smaller parts are no objects.
        salient_pixels: a slice with more pixels of the object than this is salient (study D).
    """

    separate: bool = True
    smallest_voxels: int = 1
    salient_pixels: int = 256

    def __post_init__(self) -> None:
        require_at_least("smallest_voxels", self.smallest_voxels, 1)
        require_at_least("salient_pixels", self.salient_pixels, 0)

    @classmethod
    def from_mapping(cls, content: object, place: str = "objects") -> ObjectConfig:
        """Raises InputError."""
        return build(cls, content, place, {"separate": read_flag, "smallest_voxels": read_whole, "salient_pixels": read_whole})


@dataclass(frozen=True)
class ModelConfig:
    """The model, as `engine.load_engine` takes it.

    Args:
        checkpoint: a known name, or the path of a weights file.
        architecture: for a file that does not tell it.
        image_size: pixels per side that the model works at; None for its own, on every device.
        precision: one of `PRECISIONS`; what ``auto`` is, the device decides, so with it results of CPU and GPU should not be mixed.
        device: where it runs; a run's ``--device`` wins.
        adapter: a file with what was learned of the object; None for the model as it came.
    """

    checkpoint: str = "bundled"
    architecture: str | None = None
    image_size: int | None = None
    precision: str = "fp32"
    device: str = "auto"
    adapter: str | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(f"Unknown precision '{self.precision}': expected one of {', '.join(PRECISIONS)}.")
        if self.image_size is not None and (self.image_size < 32 or self.image_size % 32):
            raise InputError(f"The model's image size is a multiple of 32, got {self.image_size}.")

    @classmethod
    def from_mapping(cls, content: object, place: str = "model") -> ModelConfig:
        """Raises InputError."""
        texts = dict.fromkeys(("checkpoint", "architecture", "precision", "device", "adapter"), read_text)
        return build(cls, content, place, {**texts, "image_size": read_whole})


@dataclass(frozen=True)
class ComparisonConfig:
    """Workflows compared at equal rules of acceptance, on all cases.

    Args:
        workflows: with different names.
        rules: with different thresholds.
        worst_first: slices that are drawn, the worst one first, to see what each correction does to the whole object; 0 for none. Of
            workflows that `has_worst_first` knows.
    """

    workflows: tuple[Workflow, ...]
    rules: tuple[Acceptance, ...]
    worst_first: int = 0

    def __post_init__(self) -> None:
        if not self.workflows or not self.rules:
            raise InputError("A comparison needs at least one of 'workflows' and one of 'rules'.")
        require_names("workflow", [workflow.name for workflow in self.workflows])
        if len(set(self.rules)) != len(self.rules):
            raise InputError("Two rules of acceptance are the same. Leave one out.")
        if not 0 <= self.worst_first <= 100:
            raise InputError(f"Expected 0 to 100 for 'worst_first', got {self.worst_first}.")

    @classmethod
    def from_mapping(cls, content: object, place: str = "comparison") -> ComparisonConfig:
        """Raises InputError."""
        return build(cls, content, place, {"workflows": list_of(read_workflow), "rules": list_of(_read_rule), "worst_first": read_whole})


@dataclass(frozen=True)
class ComputeConfig:
    """The machine's share in it; changes no result.

    Args:
        workers: processes at work at once, or ``auto``.
        embedding_cache_gb: most disk space for the cache of embeddings; 0 keeps none.
    """

    workers: int | str = "auto"
    embedding_cache_gb: float = 20.0

    def __post_init__(self) -> None:
        if self.workers != "auto" and not (isinstance(self.workers, int) and self.workers >= 1):
            raise InputError(f"Expected 'auto' or 1 and more workers, got {self.workers!r}.")
        if self.embedding_cache_gb < 0:
            raise InputError(f"Expected 0 GB or more for 'embedding_cache_gb', got {self.embedding_cache_gb:g}.")

    @classmethod
    def from_mapping(cls, content: object, place: str = "compute") -> ComputeConfig:
        """Raises InputError."""
        return build(cls, content, place, {"workers": _whole_or_auto, "embedding_cache_gb": read_number})


def read_workflow(content: object, place: str, name: str | None = None) -> Workflow:
    """A workflow; `name` is that of one that needs none in the configuration. Raises InputError."""
    texts = dict.fromkeys(("name", "method", "prompt", "order", "corrections"), read_text)
    readers = {**texts, "roi": text_or_number, "together": read_number, "clicks": read_whole, "margin_mm": read_number, "every": read_whole}
    return build(Workflow, content, place, readers, **({} if name is None else {"name": name}))


def read_effort(content: object, place: str) -> GestureSeconds:
    """Seconds for each gesture. Raises InputError."""
    return build(GestureSeconds, content, place, dict.fromkeys(GestureSeconds.__dataclass_fields__, read_number))


def require_at_least(name: str, value: int, lowest: int) -> None:
    """Raise InputError for a smaller number."""
    if value < lowest:
        raise InputError(f"Expected {lowest} or more for '{name}', got {value}.")


def _read_rule(content: object, place: str) -> Acceptance:
    return build(Acceptance, content, place, {"dsc": read_number, "nsd": read_number})


def _whole_or_auto(value: object, place: str) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InputError(f"{place}: expected a whole number or auto, got {described(value)}.")
