"""The architectures, as plain dicts of public `sam2` classes. Imports: standard library only.

The figures of the official models (widths, depths, attention blocks, switches) are those of the configuration files that the `sam2`
package ships; building from dicts avoids hydra's global search path and lets image size be a parameter. The compact model is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_M = "sam2.modeling."


@dataclass(frozen=True)
class Architecture:
    """What distinguishes one SAM 2 architecture from another.

    Args:
        embed_dim, num_heads, stages, global_attention_blocks: of the Hiera image encoder.
        window_sizes: attention window of each Hiera stage, in patches.
        background_size: side of Hiera's low-resolution position embedding.
        width: channels of neck, memory attention and mask decoder.
        memory_width: channels of a memory.
        memory_layers: layers of memory attention.
        native_image_size: pixels per side that the weights were trained at.
        is_2_1: whether SAM 2.1's additions are present (no-object embeddings, temporal code of object pointers).
        multimask: whether one click yields three candidates.
        dynamic_multimask: whether an unstable single mask is replaced by the best of three, as `build_sam2_video_predictor` sets it.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, int, int, int]
    global_attention_blocks: tuple[int, ...]
    window_sizes: tuple[int, int, int, int] = (8, 4, 14, 7)
    background_size: tuple[int, int] = (7, 7)
    width: int = 256
    memory_width: int = 64
    memory_layers: int = 4
    feedforward: int = 2048
    native_image_size: int = 1024
    is_2_1: bool = True
    multimask: bool = True
    dynamic_multimask: bool = True
    binarize_prompted_masks: bool = True
    dropout: float = 0.1


_HIERA: dict[str, dict[str, Any]] = {
    "tiny": {"embed_dim": 96, "num_heads": 1, "stages": (1, 2, 7, 2), "global_attention_blocks": (5, 7, 9)},
    "small": {"embed_dim": 96, "num_heads": 1, "stages": (1, 2, 11, 2), "global_attention_blocks": (7, 10, 13)},
    "base_plus": {
        "embed_dim": 112, "num_heads": 2, "stages": (2, 3, 16, 3), "global_attention_blocks": (12, 16, 20), "background_size": (14, 14),
    },
    "large": {
        "embed_dim": 144, "num_heads": 2, "stages": (2, 6, 36, 4), "global_attention_blocks": (23, 33, 43), "window_sizes": (8, 4, 16, 8),
    },
}  # fmt: skip

ARCHITECTURES: dict[str, Architecture] = {
    **{f"sam2.1_hiera_{size}": Architecture(**hiera) for size, hiera in _HIERA.items()},
    **{f"sam2_hiera_{size}": Architecture(**hiera, is_2_1=False) for size, hiera in _HIERA.items()},
    "medsam2": Architecture(**_HIERA["tiny"], native_image_size=512),
    "compact": Architecture(
        embed_dim=32, num_heads=1, stages=(1, 2, 3, 1), global_attention_blocks=(4,), window_sizes=(8, 4, 16, 8),
        width=128, memory_width=32, memory_layers=2, feedforward=512, native_image_size=256,
        multimask=False, dynamic_multimask=False, binarize_prompted_masks=False, dropout=0.0,
    ),
}  # fmt: skip


# Architectures that the package `transformers` alone runs (`transformers_models` builds them): pixels per side that they were trained at.
NATIVE_SIZES_ELSEWHERE: dict[str, int] = {"edgetam": 1024, "sam3_tracker": 1008}
ARCHITECTURE_NAMES = (*ARCHITECTURES, *NATIVE_SIZES_ELSEWHERE)


def native_image_size(architecture: str) -> int:
    """Pixels per side that an architecture of `ARCHITECTURE_NAMES` was trained at."""
    return ARCHITECTURES[architecture].native_image_size if architecture in ARCHITECTURES else NATIVE_SIZES_ELSEWHERE[architecture]


def model_config(architecture: Architecture, image_size: int, target: str = _M + "sam2_base.SAM2Base") -> dict[str, Any]:
    """The nested dict that hydra's `instantiate` turns into a model.

    Args:
        architecture: the figures.
        image_size: pixels per side that the model will be given, a multiple of 32.
        target: dotted name of the class to build; a subclass of SAM2Base.
    """
    a = architecture
    grid = image_size // 16
    attention = {
        "_target_": _M + "sam.transformer.RoPEAttention",
        "rope_theta": 10000.0,
        "feat_sizes": [grid, grid],
        "embedding_dim": a.width,
        "num_heads": 1,
        "downsample_rate": 1,
        "dropout": a.dropout,
    }
    config = {
        "_target_": target,
        "image_encoder": {
            "_target_": _M + "backbones.image_encoder.ImageEncoder",
            "scalp": 1,
            "trunk": {
                "_target_": _M + "backbones.hieradet.Hiera",
                "embed_dim": a.embed_dim,
                "num_heads": a.num_heads,
                "stages": list(a.stages),
                "global_att_blocks": list(a.global_attention_blocks),
                "window_pos_embed_bkg_spatial_size": list(a.background_size),
                "window_spec": list(a.window_sizes),
            },
            "neck": {
                "_target_": _M + "backbones.image_encoder.FpnNeck",
                "position_encoding": _sine_positions(a.width),
                "d_model": a.width,
                "backbone_channel_list": [a.embed_dim * factor for factor in (8, 4, 2, 1)],
                "fpn_top_down_levels": [2, 3],
                "fpn_interp_model": "nearest",
            },
        },
        "memory_attention": {
            "_target_": _M + "memory_attention.MemoryAttention",
            "d_model": a.width,
            "pos_enc_at_input": True,
            "num_layers": a.memory_layers,
            "layer": {
                "_target_": _M + "memory_attention.MemoryAttentionLayer",
                "activation": "relu",
                "dim_feedforward": a.feedforward,
                "dropout": a.dropout,
                "pos_enc_at_attn": False,
                "self_attention": attention,
                "d_model": a.width,
                "pos_enc_at_cross_attn_keys": True,
                "pos_enc_at_cross_attn_queries": False,
                "cross_attention": {**attention, "rope_k_repeat": True, "kv_in_dim": a.memory_width},
            },
        },
        "memory_encoder": {
            "_target_": _M + "memory_encoder.MemoryEncoder",
            "in_dim": a.width,
            "out_dim": a.memory_width,
            "position_encoding": _sine_positions(a.memory_width),
            "mask_downsampler": {
                "_target_": _M + "memory_encoder.MaskDownSampler",
                "embed_dim": a.width,
                "kernel_size": 3,
                "stride": 2,
                "padding": 1,
            },
            "fuser": {
                "_target_": _M + "memory_encoder.Fuser",
                "num_layers": 2,
                "layer": {
                    "_target_": _M + "memory_encoder.CXBlock",
                    "dim": a.width,
                    "kernel_size": 7,
                    "padding": 3,
                    "layer_scale_init_value": 1e-6,
                    "use_dwconv": True,
                },
            },
        },
        "num_maskmem": 7,
        "image_size": image_size,
        "sigmoid_scale_for_mem_enc": 20.0,
        "sigmoid_bias_for_mem_enc": -10.0,
        "use_mask_input_as_output_without_sam": True,
        "directly_add_no_mem_embed": True,
        "use_high_res_features_in_sam": True,
        "multimask_output_in_sam": a.multimask,
        "multimask_output_for_tracking": a.multimask,
        "use_multimask_token_for_obj_ptr": a.multimask,
        "multimask_min_pt_num": 0,
        "multimask_max_pt_num": 1,
        "iou_prediction_use_sigmoid": True,
        "use_obj_ptrs_in_encoder": True,
        "add_tpos_enc_to_obj_ptrs": a.is_2_1,
        "only_obj_ptrs_in_the_past_for_eval": True,
        "pred_obj_scores": True,
        "pred_obj_scores_mlp": True,
        "fixed_no_obj_ptr": True,
        "use_mlp_for_obj_ptr_proj": True,
        "binarize_mask_from_pts_for_mem_enc": a.binarize_prompted_masks,
        "compile_image_encoder": False,
    }
    if a.is_2_1:
        config |= {"no_obj_embed_spatial": True, "proj_tpos_enc_in_obj_ptrs": True, "use_signed_tpos_enc_to_obj_ptrs": True}
    if a.dynamic_multimask:
        config["sam_mask_decoder_extra_args"] = {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        }
    return config


def _sine_positions(features: int) -> dict:
    return {
        "_target_": _M + "position_encoding.PositionEmbeddingSine",
        "num_pos_feats": features,
        "normalize": True,
        "scale": None,
        "temperature": 10000,
    }
