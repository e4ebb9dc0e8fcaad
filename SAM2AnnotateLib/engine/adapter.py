"""Adapter: what a model learned of one object from a few annotated slices. Imports numpy, errors and `adapter_file`; no torch.

An adapter is small: the tensors that changed, as differences to the base model, and a card that says of what, on what and how well. It
holds no picture, no name of a patient and no path. It fits one base model, which its card names by the SHA-256 of its weights.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..atomic_files import replaced_atomically
from ..errors import CheckpointError, InputError
from ..json_input import parse_json
from .adapter_file import pack_tensors, unpack_tensors

FORMAT_VERSION = 1
# What is scored, and what an adapter may serve: a box, clicks alone, no prompt at all, and the memory of the slice beside.
PROMPT_KINDS = ("box", "point", "none", "memory")
# Mean DSC that boxes on held-out slices must gain. Where less was learned, the errors of a pass are other ones: `adaptation/README.md`.
_CLEAR_GAIN = 0.1
TRAINED_PARTS = ("decoder", "prompt_encoder")
# More than any adapter of the models known here takes (hiera large: 16 MB).
LARGEST_FILE_BYTES = 256 << 20
_LONGEST_TEXT = 200
# In the file's metadata: SHA-256 of the file as it would be without this entry. Damage to numbers or card is noticed by it.
_CHECKSUM = "content_sha256"


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter is of.

    Args:
        object_name: what a person calls the object; may be empty.
        base_sha256: of the weights that it was learned on; no other model takes it.
        architecture: of these.
        trained: ``decoder`` (prompt encoder and mask decoder) or ``prompt_encoder`` (that alone).
        serves: kinds of prompt that it is used for, see `PROMPT_KINDS`; the model as it came answers the others, as its held-out
            slices were better with it there.
        blend: by kind of prompt, the share of what was learned in the answer, above 0 and at most 1; the rest is the model as it came.
            Kinds that are not in it are answered by what was learned alone.
        terminology: the object's code, such as ``SCT:10200004:Liver``; None if not known.
        modality: DICOM modality of the images, or None.
        window: (lower, upper) voxel values that were mapped to black and white.
        window_name: of that window: a CT preset, ``mr`` or ``explicit``; "" if not known.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        spacing_rc_mm: of rows and columns.
        object_size_mm: typical longer side of the object's box on a slice; how large a part a single click shows.
        slice_count: annotated slices that it learned from.
        volume_count: volumes that these are of.
        scores_before, scores_after: by kind of prompt, mean DSC of held-out slices with the model as it came, and after learning.
        created: ISO date.
        image_size: pixels per side that the model worked at; 0 if not known.
        in_passes: whether passes from slice to slice take what was learned of the object's look on one slice.

    Raises:
        CheckpointError: if a field holds what it cannot.
    """

    object_name: str
    base_sha256: str
    architecture: str
    trained: str = "decoder"
    serves: tuple[str, ...] = PROMPT_KINDS
    blend: Mapping[str, float] = field(default_factory=dict)
    terminology: str | None = None
    modality: str | None = None
    window: tuple[float, float] = (0.0, 255.0)
    window_name: str = ""
    plane: str = "axial"
    spacing_rc_mm: tuple[float, float] = (1.0, 1.0)
    object_size_mm: float = 0.0
    slice_count: int = 0
    volume_count: int = 1
    scores_before: Mapping[str, float] = field(default_factory=dict)
    scores_after: Mapping[str, float] = field(default_factory=dict)
    created: str = ""
    image_size: int = 0
    in_passes: bool = True

    def __post_init__(self) -> None:
        for name in ("object_name", "base_sha256", "architecture", "window_name", "plane", "created"):
            _require(_is_text(getattr(self, name)), f"'{name}' should be a text of at most {_LONGEST_TEXT} letters")
        for name in ("terminology", "modality"):
            _require(getattr(self, name) is None or _is_text(getattr(self, name)), f"'{name}' should be a short text or nothing")
        _require(self.trained in TRAINED_PARTS, f"'trained' should be one of {', '.join(TRAINED_PARTS)}")
        object.__setattr__(self, "serves", self._tuple("serves", lambda kind: kind in PROMPT_KINDS, f"one of {', '.join(PROMPT_KINDS)}"))
        for name in ("window", "spacing_rc_mm"):
            object.__setattr__(self, name, self._tuple(name, _is_number, "a number", length=2))
        _require(_is_number(self.object_size_mm) and 0 <= self.object_size_mm < 1e5, "'object_size_mm' should be a length in mm")
        _require(self.window[0] < self.window[1], "'window' should rise")
        _require(min(self.spacing_rc_mm) > 0, "'spacing_rc_mm' should be above 0")
        for name in ("slice_count", "volume_count", "image_size"):
            value = getattr(self, name)
            _require(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31, f"'{name}' should be a count")
        for name in ("scores_before", "scores_after"):
            scores = getattr(self, name)
            fits = isinstance(scores, Mapping) and all(k in PROMPT_KINDS and _is_number(v) and 0 <= v <= 1 for k, v in scores.items())
            _require(fits, f"'{name}' should hold DSC from 0 to 1 by kind of prompt")
            object.__setattr__(self, name, MappingProxyType(dict(scores)))
        _require(isinstance(self.in_passes, bool), "'in_passes' should be true or false")
        blend: Any = self.blend
        fits = isinstance(blend, Mapping) and all(k in self.serves and _is_number(v) and 0 < v <= 1 for k, v in blend.items())
        _require(fits, "'blend' should hold shares above 0 and up to 1, by kinds of prompt that it serves")
        object.__setattr__(self, "blend", MappingProxyType(dict(blend)))

    def gain(self, kind: str) -> float:
        """By how much the mean DSC of held-out slices rose with this kind of prompt; 0 if it is not known."""
        return self.scores_after[kind] - self.scores_before[kind] if {kind} <= self.scores_before.keys() & self.scores_after.keys() else 0.0

    @property
    def is_clearly_better(self) -> bool:
        """Whether boxes on held-out slices gained much: then the model as it came lacked what was learned, and a pass has use for it."""
        return self.gain("box") >= _CLEAR_GAIN

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` reads back."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, usual in (("blend", {}), ("in_passes", True)):  # as cards were before these came: their adapters keep their SHA-256
            if plain[name] == usual:
                del plain[name]
        return {
            name: dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
        }

    @classmethod
    def from_json(cls, stored: Any) -> AdapterCard:
        """Read back what `to_json` wrote. Raises CheckpointError."""
        _require(isinstance(stored, dict), "the card should be an object of JSON")
        known = {one.name for one in fields(cls)}
        strange = sorted(str(name)[:40] for name in stored if name not in known)
        _require(not strange, f"the card has a field that is not known here: {', '.join(strange[:1])}")
        missing = sorted({"object_name", "base_sha256", "architecture"} - stored.keys())
        _require(not missing, f"the card lacks {', '.join(missing)}")
        return cls(**stored)

    def _tuple(self, name: str, fits, expected: str, length: int | None = None) -> tuple:
        value = getattr(self, name)
        is_list = isinstance(value, (list, tuple)) and (length is None or len(value) == length) and len(value) <= 16
        _require(is_list and all(fits(one) for one in value), f"'{name}' should be a list, each of it {expected}")
        return tuple(value)


@dataclass(frozen=True, eq=False)
class Adapter:
    """What was learned: tensors and card.

    Args:
        tensors: by name, differences to the base model's tensors (float16 or float32), and tensors of its own.
        card: of what.

    Attributes:
        sha256: of the file that `save` writes; the same tensors and card always give the same bytes.
    """

    tensors: Mapping[str, np.ndarray]
    card: AdapterCard
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        kept = {}
        for name, value in self.tensors.items():
            array = np.ascontiguousarray(value)
            if not np.isfinite(array).all():
                raise CheckpointError(f"The adapter holds NaN or infinite numbers ({name}): it is damaged, or learning went astray.")
            array.setflags(write=False)
            kept[name] = array
        object.__setattr__(self, "tensors", MappingProxyType(kept))
        object.__setattr__(self, "sha256", hashlib.sha256(self.to_bytes()).hexdigest())

    @property
    def name(self) -> str:
        """The object's name, or "unnamed object"."""
        return self.card.object_name or "unnamed object"

    def serves(self, kind: str) -> bool:
        """Whether it is used for prompts of this kind, see `PROMPT_KINDS`."""
        return kind in self.card.serves

    def share(self, kind: str) -> float:
        """Of what was learned in the answer to a prompt of this kind, see `blended`: 0 where it does not serve it."""
        return float(self.card.blend.get(kind, 1.0)) if self.serves(kind) else 0.0

    def require_base(self, weights_sha256: str, model: str) -> None:
        """Raise CheckpointError unless it was learned on these weights."""
        if self.card.base_sha256 != weights_sha256:
            raise CheckpointError(
                f"What was learned of '{self.name}' belongs to another model ({self.card.architecture or 'unknown'}, SHA-256 "
                f"{self.card.base_sha256[:12]}...), not to '{model}' ({weights_sha256[:12]}...). Load that one, or learn again."
            )

    def to_bytes(self) -> bytes:
        """The file's content."""
        card = json.dumps(self.card.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        metadata = {"sam2annotate_adapter": str(FORMAT_VERSION), "card": card}
        return pack_tensors(self.tensors, {**metadata, _CHECKSUM: _checksum(self.tensors, metadata)})

    def save(self, path: str | Path) -> None:
        """Write a ``.safetensors`` file, whole or not at all. Raises OutputError."""
        require_adapter_name(path)
        with replaced_atomically(path) as partial:
            partial.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Adapter:
        """Read a file that `save` wrote; nothing in it is executed, and sizes are checked before room is taken.

        Raises:
            CheckpointError: one line that says what is wrong with it.
        """
        named = f"'{path}'"
        try:
            with open(path, "rb") as stream:
                size = stream.seek(0, 2)
                if size > LARGEST_FILE_BYTES:
                    raise CheckpointError(f"{named} is no adapter: it has {size} bytes, an adapter at most {LARGEST_FILE_BYTES}.")
                stream.seek(0)
                content = stream.read(LARGEST_FILE_BYTES + 1)
        except (OSError, ValueError) as exc:  # ValueError: a name that no file can have
            raise CheckpointError(f"Cannot read the adapter {named}: {getattr(exc, 'strerror', None) or exc}.") from exc
        return cls.from_bytes(content, named)

    @classmethod
    def from_bytes(cls, content: bytes, named: str = "") -> Adapter:
        """The adapter that a file's content states; `named` names it in messages, if it has a name. Raises CheckpointError."""
        try:
            tensors, metadata = unpack_tensors(content)
            version = metadata.get("sam2annotate_adapter")
            if version is None:
                raise CheckpointError("it is a file of tensors, but no adapter of SAM2Annotate (such as weights of a whole model)")
            if version != str(FORMAT_VERSION):
                raise CheckpointError(
                    f"it is of format {version[:20]!r}, this version reads {FORMAT_VERSION}; a newer SAM2Annotate wrote it"
                )
            card = AdapterCard.from_json(parse_json(metadata.get("card", ""), "its card"))
            adapter = cls(tensors, card)
            stated = metadata.pop(_CHECKSUM, None)
            if stated is None:
                raise CheckpointError("it has no checksum: an early version wrote it, or it was edited")
            if stated != _checksum(tensors, metadata):
                raise CheckpointError("its content is not what its checksum tells of: it was damaged or edited after it was learned")
            return adapter
        except (InputError, TypeError) as exc:
            reason = " ".join("".join(letter if letter.isprintable() else " " for letter in str(exc)).split())
            what = f"the adapter {named}" if named else "the adapter"
            raise CheckpointError(f"Cannot use {what}: {reason.rstrip('.')}. Learn it anew, or get the file again.") from exc


def require_adapter_name(path: str | Path) -> None:
    """Raise InputError unless a file of this name is an adapter's."""
    if Path(path).suffix.lower() != ".safetensors":
        raise InputError(f"An adapter is a .safetensors file, got '{path}'.")


def today() -> str:
    """The ISO date for a card."""
    return datetime.date.today().isoformat()


def described(adapter: Adapter | None) -> dict[str, str]:
    """What `SegmentationEngine.describe` says of an adapter; empty without one."""
    return {} if adapter is None else {"adapter": adapter.name, "adapter_sha256": adapter.sha256}


def _checksum(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> str:
    """SHA-256 of tensors and texts, hexadecimal; `metadata` without the checksum itself."""
    return hashlib.sha256(pack_tensors(tensors, metadata)).hexdigest()


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise CheckpointError(f"its card is damaged: {problem}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT and all(letter.isprintable() for letter in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18 and math.isfinite(value)
