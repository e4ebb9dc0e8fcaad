"""The models of `transformers` that the second engine runs, built from figures alone: no file and no hub is asked. Imports torch inside.

Three families with one set of pieces: SAM 2 (and this project's compact model), EdgeTAM, and the tracker of SAM 3. Where `transformers` has
a figure fixed that ours differs in, the piece is replaced here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...errors import CheckpointError, InputError
from ...optional_imports import import_for
from .model_configs import ARCHITECTURE_NAMES, ARCHITECTURES, NATIVE_SIZES_ELSEWHERE, Architecture
from .position_codes import keep_hiera_codes, keep_sine_codes

INSTALL_HINT = "pip install torch safetensors Pillow transformers"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# `transformers` builds each layer's cross attention for memories of this width, whatever the configuration says.
_MEMORY_WIDTH_BUILT = 64
_WINDOWS_OF_EDGETAM = 16  # memories are pooled to 16 x 16 tokens


@dataclass(frozen=True)
class Family:
    """What distinguishes one family from another.

    Args:
        name: ``sam2``, ``edgetam`` or ``sam3_tracker``.
        model_class, config_class: their names in `transformers`.
        mean, std: of the pictures that it was trained with, by channel.
        size_step: the image size is a multiple of this.
        native_image_size: pixels per side that the weights were trained at.
        as_sam2: follow the `sam2` package where `transformers` departs from it: a given mask enters the memory by its logits at a quarter
            of the size, and its pointer is the one of a single mask. Else follow `transformers`' own video session.
    """

    name: str
    model_class: str
    config_class: str
    size_step: int
    native_image_size: int
    mean: tuple[float, float, float] = _IMAGENET[0]
    std: tuple[float, float, float] = _IMAGENET[1]
    as_sam2: bool = False


SAM2 = Family("sam2", "Sam2VideoModel", "Sam2VideoConfig", 32, 1024, as_sam2=True)
EDGETAM = Family("edgetam", "EdgeTamVideoModel", "EdgeTamVideoConfig", 16 * _WINDOWS_OF_EDGETAM, NATIVE_SIZES_ELSEWHERE["edgetam"])
SAM3_TRACKER = Family(
    "sam3_tracker", "Sam3TrackerVideoModel", "Sam3TrackerVideoConfig", 14, NATIVE_SIZES_ELSEWHERE["sam3_tracker"], *_HALVES
)
# Architectures that only this engine runs. The names are those that checkpoints and users give.
ONLY_HERE: dict[str, Family] = {"edgetam": EDGETAM, "sam3_tracker": SAM3_TRACKER}


@dataclass(frozen=True)
class Shape:
    """A model to build.

    Args:
        family: which.
        config: arguments of its configuration class.
        memory_width: channels of a memory.
        binarize_prompted_masks: whether a mask that follows from a prompt enters the memory as 0 and 1.
        backbone: widths and depths of RepViT in place of the configuration's backbone; None leaves that.
    """

    family: Family
    config: dict[str, Any] = field(default_factory=dict)
    memory_width: int = _MEMORY_WIDTH_BUILT
    binarize_prompted_masks: bool = True
    backbone: tuple[tuple[int, ...], tuple[int, ...]] | None = None


def family_of(architecture: str) -> Family:
    """The family of an architecture's name. Raises CheckpointError."""
    if architecture in ONLY_HERE:
        return ONLY_HERE[architecture]
    if architecture in ARCHITECTURES:
        return SAM2
    raise CheckpointError(f"Unknown architecture {architecture!r}: expected one of {', '.join(ARCHITECTURE_NAMES)}.")


def require_size(family: Family, image_size: int) -> None:
    """Raise InputError unless frames of this size can be given to the family."""
    if image_size < 64 or image_size > 2048 or image_size % family.size_step:
        raise InputError(
            f"The image size of {family.name} must be a multiple of {family.size_step} from 64 to 2048, got {image_size}. "
            f"It was trained at {family.native_image_size}."
        )


def released_shape(architecture: str, image_size: int) -> Shape:
    """A model as it was released, for frames of `image_size` pixels a side. Raises CheckpointError, InputError."""
    family = family_of(architecture)
    require_size(family, image_size)
    if family is EDGETAM:
        return edgetam_shape(image_size)
    if family is SAM3_TRACKER:
        return Shape(SAM3_TRACKER, {"image_size": image_size})
    return sam2_shape(ARCHITECTURES[architecture], image_size)


def edgetam_shape(
    image_size: int, widths: tuple[int, ...] = (48, 96, 192, 384), depths: tuple[int, ...] = (2, 2, 14, 2), **more: Any
) -> Shape:
    """EdgeTAM: SAM 2.0's heads, two layers of memory attention, pooled memories, RepViT."""
    config = {
        # What stands here is replaced by `backbone`; it only has to be small and to need no package.
        "vision_config": {
            "model_type": "edgetam_vision_model",
            "backbone_config": _hiera(Architecture(8, 1, (1, 1, 1, 1), (2,)), image_size),
            "backbone_channel_list": list(reversed(widths)),
            "backbone_feature_sizes": _feature_sizes(image_size),
        },
        "prompt_encoder_config": {"image_size": image_size},
        "image_size": image_size,
        "memory_attention_rope_feat_sizes": [image_size // 16] * 2,
        "enable_temporal_pos_encoding_for_object_pointers": False,
        "enable_occlusion_spatial_embedding": False,
        **more,
    }
    return Shape(EDGETAM, config, backbone=(widths, depths))


def sam2_shape(a: Architecture, image_size: int, family: Family = SAM2) -> Shape:
    """A SAM 2 of `model_configs` as `transformers` configures it."""
    config = {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": _hiera(a, image_size),
            "backbone_channel_list": [a.embed_dim * factor for factor in (8, 4, 2, 1)],
            "backbone_feature_sizes": _feature_sizes(image_size),
            "fpn_hidden_size": a.width,
        },
        "prompt_encoder_config": {"hidden_size": a.width, "image_size": image_size},
        "mask_decoder_config": {"hidden_size": a.width, "dynamic_multimask_via_stability": a.dynamic_multimask},
        "image_size": image_size,
        "memory_attention_hidden_size": a.width,
        "memory_attention_num_layers": a.memory_layers,
        "memory_attention_feed_forward_hidden_size": a.feedforward,
        "memory_attention_rope_feat_sizes": [image_size // 16] * 2,
        "memory_encoder_hidden_size": a.width,
        "memory_encoder_output_channels": a.memory_width,
        "mask_downsampler_embed_dim": a.width,
        "memory_fuser_embed_dim": a.width,
        "memory_fuser_intermediate_dim": 4 * a.width,
        "multimask_output_in_sam": a.multimask,
        "multimask_output_for_tracking": a.multimask,
        "enable_temporal_pos_encoding_for_object_pointers": a.is_2_1,
        "enable_occlusion_spatial_embedding": a.is_2_1,
    }
    return Shape(family, config, a.memory_width, a.binarize_prompted_masks)


def build_model(shape: Shape) -> Any:
    """The model with fresh random weights, in evaluation mode on the CPU. Raises MissingPackageError."""
    torch = import_for("This model", "torch", INSTALL_HINT)
    transformers = import_for("This model", "transformers", INSTALL_HINT)
    config = getattr(transformers, shape.family.config_class)(**shape.config)
    model = getattr(transformers, shape.family.model_class)(config)
    if shape.backbone is not None:
        from .repvit import RepVitBackbone

        model.vision_encoder.backbone = RepVitBackbone(*shape.backbone)
    if shape.memory_width != _MEMORY_WIDTH_BUILT:
        for layer in model.memory_attention.layers:
            attention = layer.cross_attn_image
            for name in ("k_proj", "v_proj"):
                setattr(attention, name, torch.nn.Linear(shape.memory_width, attention.internal_dim))
    keep_sine_codes(model)
    return model.eval()


def settle(model: Any, shape: Shape) -> None:
    """Compute once what follows from weights that are there to stay. The answers stay the same but for rounding."""
    keep_hiera_codes(model)
    if shape.backbone is not None:
        model.vision_encoder.backbone.fold()


def _hiera(a: Architecture, image_size: int) -> dict[str, Any]:
    doubled = (1, 2, 4, 8)
    return {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": a.embed_dim,
        "num_attention_heads": a.num_heads,
        "image_size": [image_size, image_size],
        "blocks_per_stage": list(a.stages),
        "embed_dim_per_stage": [a.embed_dim * factor for factor in doubled],
        "num_attention_heads_per_stage": [a.num_heads * factor for factor in doubled],
        "window_size_per_stage": list(a.window_sizes),
        "global_attention_blocks": list(a.global_attention_blocks),
        "window_positional_embedding_background_size": list(a.background_size),
    }


def _feature_sizes(image_size: int) -> list[list[int]]:
    return [[image_size // stride] * 2 for stride in (4, 8, 16)]
