"""From a checkpoint's name to a loaded engine: weights, architecture, device, precision, image size. Imports torch inside functions."""

from __future__ import annotations

import importlib.util
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, EngineError, InputError
from ..optional_imports import import_for
from ..processors import cores_here, wait_patiently
from .adapter import Adapter
from .engine import SegmentationEngine
from .models.checkpoints import Checkpoint, file_sha256, find_checkpoint, require_local_file, verify_file
from .models.model_configs import ARCHITECTURE_NAMES, ARCHITECTURES, Architecture, model_config, native_image_size
from .models.position_codes import keep_hiera_codes
from .models.sam2_names import is_edgetam, is_sam3_tracker, is_transformers_layout, sam3_tracker_of, to_transformers
from .models.transformers_models import INSTALL_HINT as TRANSFORMERS_HINT
from .models.transformers_models import Family, build_model, family_of, released_shape, require_size, settle

INSTALL_HINT = "pip install torch safetensors Pillow hydra-core iopath tqdm && pip install --no-deps rf-sam-2"
DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "fp32", "bf16")
# What runs the model. ``auto`` takes `transformers` for what `sam2` does not know, and for the rest where `sam2` is not installed.
PACKAGES = ("auto", "sam2", "transformers")
# On a CPU the official models run at this size unless asked otherwise: a slice at 1024 pixels takes about ten times as long as at 512
# (5.7 against 0.67 s, hiera tiny on 2 cores), and a region of interest of an object seldom holds more pixels than that.
_CPU_IMAGE_SIZE = 512
# Of two cores none is spared: what draws the scene needs little while a person waits, and the model would take nearly twice as long.
_FEWEST_TO_SPARE_OF = 2
# The operations of a narrower model are so short that threads spend more time on meeting than they save: on two cores the bundled one takes
# 1.1 times as long with two threads as with one where they are idle, and twice as long where others use them.
_LEAST_WIDTH_TO_SHARE = _LEAST_WIDTH_FOR_BF16 = 256
# Of a SAM 2: the blocks of its image encoder, the first convolution, and what 2.1 added.
_MARKS = ("image_encoder.trunk.blocks.", "image_encoder.trunk.patch_embed.proj.weight", "no_obj_embed_spatial")
_MARKS_OF_TRANSFORMERS = (
    "vision_encoder.backbone.blocks.",
    "vision_encoder.backbone.patch_embed.projection.weight",
    "occlusion_spatial_embedding_parameter",
)
_WIDTH_ELSEWHERE = 256  # of EdgeTAM and SAM 3


def load_engine(
    checkpoint: str | Path | Checkpoint = "bundled",
    *,
    architecture: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    image_size: int | None = None,
    spare_cores: int = 0,
    adapter: Adapter | str | Path | None = None,
    package: str = "auto",
) -> SegmentationEngine:
    """Load a model: SAM 2, EdgeTAM, or the tracker of SAM 3.

    Args:
        checkpoint: a name of `CHECKPOINTS`, or the path of a ``.pt`` or ``.safetensors`` file.
        architecture: a name of `ARCHITECTURE_NAMES`, for a file that does not tell it.
        device: ``auto`` takes CUDA, then MPS, then the CPU; or any torch device name.
        precision: ``fp32`` repeats stock SAM 2 exactly; ``bf16`` is autocast; ``auto`` takes bf16 where the hardware has it and the
            model is large enough to gain (not the bundled one on a CPU). Both but ``fp32`` keep embeddings in 16 bit.
        image_size: pixels per side, a multiple of 32 (EdgeTAM 256, SAM 3 14); by default the checkpoint's own, on a CPU at most 512.
        adapter: what was learned of an object, or its file; it must be of these weights.
        spare_cores: of more than two cores, how many are left to others; the variable OMP_NUM_THREADS overrules it.
        package: one of `PACKAGES`.

    Raises:
        CheckpointError: unknown name, file missing, truncated, altered, or of another architecture; an adapter that is damaged or of
            other weights.
        EngineError: the device cannot be used.
        InputError: precision, image size or package is none of those.
        MissingPackageError: torch, or the package that runs the model, is not installed.
    """
    learned = adapter if isinstance(adapter, Adapter) or adapter is None else Adapter.load(adapter)
    wait_patiently()
    torch = import_for("Running SAM 2", "torch", INSTALL_HINT)
    known = checkpoint if isinstance(checkpoint, Checkpoint) else find_checkpoint(checkpoint, architecture)
    if package not in PACKAGES:
        raise InputError(f"Unknown package '{package}': expected one of {', '.join(PACKAGES)}.")
    if known.architecture is not None:  # before hundreds of MB are read
        _choose_package(package, known.architecture)
    file = require_local_file(known)
    verify_file(known, file)
    weights_sha256 = known.sha256 or file_sha256(file)  # where the hash is known, `verify_file` has just compared it
    if learned is not None:
        learned.require_base(weights_sha256, known.name)
    tensors = _read_tensors(torch, file)
    name = known.architecture or _tell_architecture(tensors, file)
    if name not in ARCHITECTURE_NAMES:
        raise CheckpointError(f"Unknown architecture {name!r}: expected one of {', '.join(ARCHITECTURE_NAMES)}.")
    device = _choose_device(torch, device)
    _leave_cores(torch, spare_cores)
    if is_transformers_layout(tensors):
        if package == "sam2":
            raise CheckpointError(f"The weights in '{file}' have the layout of the package transformers: sam2 cannot run them.")
        package = "transformers"
    native = known.image_size or native_image_size(name)
    if _choose_package(package, name) == "transformers":
        weights = _Weights(tensors, file, known.name, weights_sha256, name)
        return _load_for_transformers(torch, weights, device, precision, image_size, native).with_adapter(learned)
    model = _build(torch, ARCHITECTURES[name], _choose_image_size(image_size, native, device))
    _fill(model, tensors, file, name)
    keep_hiera_codes(model)
    from .sam2_engine import Sam2Engine

    compute = _compute(torch, precision, device, ARCHITECTURES[name].width)
    return Sam2Engine(_moved(model, device), known.name, weights_sha256, compute, name).with_adapter(learned)


@dataclass(frozen=True)
class _Weights:
    """Tensors that were read, their file, the checkpoint's name, the file's hash, and the architecture."""

    tensors: dict[str, Any]
    file: Path
    name: str
    sha256: str
    architecture: str


def _load_for_transformers(torch, weights: _Weights, device: str, precision: str, image_size: int | None, native: int):
    from .transformers_engine import TransformersEngine

    shape = released_shape(weights.architecture, _choose_size_of(family_of(weights.architecture), image_size, native, device))
    tensors = sam3_tracker_of(weights.tensors) if is_transformers_layout(weights.tensors) else to_transformers(weights.tensors)
    with torch.random.fork_rng(devices=[]):
        model = build_model(shape)
    _fill(model, tensors, weights.file, weights.architecture)
    settle(model, shape)
    of_sam2 = ARCHITECTURES.get(weights.architecture)
    compute = _compute(torch, precision, device, _WIDTH_ELSEWHERE if of_sam2 is None else of_sam2.width)
    return TransformersEngine(_moved(model, device), shape, weights.name, weights.sha256, compute, weights.architecture)


def _compute(torch, precision: str, device: str, width: int):
    from .compute import Compute

    threads = 1 if device.startswith("cpu") and width < _LEAST_WIDTH_TO_SHARE and "OMP_NUM_THREADS" not in os.environ else None
    return Compute(device, _choose_bf16(torch, precision, device, width), half_embeddings=precision != "fp32", threads=threads)


def _moved(model, device: str):
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as exc:  # torch asserts that it was built for the device
        raise EngineError(f"The device '{device}' cannot be used: {str(exc).splitlines()[0]}") from exc


def package_for(package: str, architecture: str) -> str:
    """Which of ``sam2`` and ``transformers`` runs an architecture; nothing is imported, and it may be missing. Raises InputError."""
    if architecture in ARCHITECTURES and package != "transformers":
        return "sam2" if package == "sam2" or _is_installed("sam2") or not _is_installed("transformers") else "transformers"
    if package == "sam2":
        raise InputError(f"The package sam2 does not know {architecture}. Use package 'auto' or 'transformers'.")
    return "transformers"


def _choose_package(package: str, architecture: str) -> str:
    """The same, imported. Raises InputError, MissingPackageError."""
    chosen = package_for(package, architecture)
    if chosen == "sam2":
        import_for("Running SAM 2", "sam2", INSTALL_HINT)
    else:
        import_for(f"Running {architecture}", "transformers", TRANSFORMERS_HINT)
    return chosen


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: somebody put a module without a specification in its place
        return False


def _build(torch, shape: Architecture, size: int):
    from hydra.utils import instantiate

    with torch.random.fork_rng(devices=[]):  # the fresh weights are overwritten: leave the caller's random numbers alone
        return instantiate(model_config(shape, size))


def _read_tensors(torch, file: Path) -> dict[str, Any]:
    """Tensors by name; never executes code from the file."""
    try:
        if file.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as exc:  # pickle, zip, safetensors and torch each have their own errors for a damaged file
        raise CheckpointError(
            f"The weights in '{file}' cannot be read: the file is truncated, altered or no checkpoint ({type(exc).__name__}). "
            "Download it again."
        ) from exc
    if isinstance(stored, dict) and isinstance(stored.get("model"), dict):
        stored = stored["model"]
    if not isinstance(stored, dict) or not stored or not all(torch.is_tensor(value) for value in stored.values()):
        raise CheckpointError(f"'{file}' holds no SAM 2 weights: expected a dict of tensors, or one under 'model'.")
    return stored


def _tell_architecture(tensors: dict[str, Any], file: Path) -> str:
    """By the width and depth of the image encoder and the tensors that one alone has; in either layout."""
    if is_edgetam(tensors):
        return "edgetam"
    if is_sam3_tracker(tensors):
        return "sam3_tracker"
    trunk, patch_name, added = _MARKS_OF_TRANSFORMERS if is_transformers_layout(tensors) else _MARKS
    patch = tensors.get(patch_name)
    blocks = {key.removeprefix(trunk).split(".")[0] for key in tensors if key.startswith(trunk)}
    is_2_1 = added in tensors
    for name, shape in ARCHITECTURES.items():
        same_release = name != "medsam2" and shape.is_2_1 == is_2_1
        if same_release and patch is not None and shape.embed_dim == patch.shape[0] and sum(shape.stages) == len(blocks):
            return name
    raise CheckpointError(
        f"'{file}' is of no architecture known here ({', '.join(ARCHITECTURE_NAMES)}). Name one if it is a fine-tune of it."
    )


def _fill(model, tensors: dict[str, Any], file: Path, name: str) -> None:
    expected = model.state_dict()
    missing = sorted(expected.keys() - tensors.keys())
    extra = sorted(tensors.keys() - expected.keys())
    wrong = sorted(key for key in expected.keys() & tensors.keys() if expected[key].shape != tensors[key].shape)
    if missing or extra or wrong:
        first = (missing or wrong or extra)[0]
        raise CheckpointError(
            f"The weights in '{file}' do not fit the architecture {name}: {len(missing)} tensors missing, {len(wrong)} of another shape, "
            f"{len(extra)} unknown (first: {first}). The file is incomplete or of another model."
        )
    bad = [key for key, value in tensors.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if bad:
        raise CheckpointError(f"The weights in '{file}' hold NaN or infinite numbers ({bad[0]}): the file is damaged. Download it again.")
    model.load_state_dict(tensors)


def _choose_device(torch, device: str) -> str:
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as exc:
        raise EngineError(f"Unknown device '{device}': expected one of {', '.join(DEVICES)}.") from exc
    if kind not in DEVICES:
        raise EngineError(f"The device '{device}' is not supported: expected one of {', '.join(DEVICES)}.")
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise EngineError(
            f"The device '{device}' is not available on this machine, or this torch is not built for it.", "Use --device cpu."
        )
    return device


def _leave_cores(torch, spare: int) -> None:
    """No more threads than cores, less what is spared: torch counts the machine's, also in a container that may not use them all."""
    cores = cores_here()
    wanted = max(1, cores - spare) if cores > _FEWEST_TO_SPARE_OF else cores
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > wanted:
        torch.set_num_threads(wanted)


def _choose_size_of(family: Family, asked: int | None, native: int, device: str) -> int:
    if asked is None:
        return _choose_image_size(None, native, device) // family.size_step * family.size_step
    require_size(family, asked)
    return asked


def _choose_image_size(asked: int | None, native: int, device: str) -> int:
    if asked is None:
        return min(native, _CPU_IMAGE_SIZE) if device.startswith("cpu") else native
    if asked < 64 or asked > 2048 or asked % 32:
        raise InputError(f"The image size must be a multiple of 32 between 64 and 2048, got {asked}.")
    return asked


def _choose_bf16(torch, precision: str, device: str, width: int) -> bool:
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision '{precision}': expected one of {', '.join(PRECISIONS)}.")
    if precision != "auto":
        return precision == "bf16"
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device.startswith("cpu") and width >= _LEAST_WIDTH_FOR_BF16 and hasattr(torch.cpu, "get_capabilities"):
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return False
