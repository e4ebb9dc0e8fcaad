"""From the tensors of Meta's `sam2` layout to those of `transformers`: the same numbers under other names. Imports nothing.

So a checkpoint that was published for `sam2` or for EdgeTAM's own code runs without that code, and needs no second download.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# In order; each on what the ones before it made. Left: of a name in `sam2`. Right: the same place in `transformers`.
_RULES: tuple[tuple[str, str], ...] = (
    (r"^maskmem_tpos_enc$", "memory_temporal_positional_encoding"),
    (r"^no_mem_embed$", "no_memory_embedding"),
    (r"^no_mem_pos_enc$", "no_memory_positional_encoding"),
    (r"^no_obj_ptr$", "no_object_pointer"),
    (r"^no_obj_embed_spatial$", "occlusion_spatial_embedding_parameter"),
    (r"^obj_ptr_tpos_proj\.", "temporal_positional_encoding_projection_layer."),
    (r"^obj_ptr_proj\.", "object_pointer_proj."),
    (r"^image_encoder\.trunk\.body\.", "vision_encoder.backbone.timm_model."),
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"^sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", "prompt_encoder.shared_embedding.positional_embedding"),
    (r"^sam_prompt_encoder\.mask_downscaling\.0\.", "prompt_encoder.mask_embed.conv1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.1\.", "prompt_encoder.mask_embed.layer_norm1."),
    (r"^sam_prompt_encoder\.mask_downscaling\.3\.", "prompt_encoder.mask_embed.conv2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.4\.", "prompt_encoder.mask_embed.layer_norm2."),
    (r"^sam_prompt_encoder\.mask_downscaling\.6\.", "prompt_encoder.mask_embed.conv3."),
    (r"^sam_prompt_encoder\.", "prompt_encoder."),
    (r"^sam_mask_decoder\.output_upscaling\.0\.", "mask_decoder.upscale_conv1."),
    (r"^sam_mask_decoder\.output_upscaling\.1\.", "mask_decoder.upscale_layer_norm."),
    (r"^sam_mask_decoder\.output_upscaling\.3\.", "mask_decoder.upscale_conv2."),
    (r"^sam_mask_decoder\.", "mask_decoder."),
    (r"^memory_encoder\.mask_downsampler\.encoder\.12\.", "memory_encoder.mask_downsampler.final_conv."),
    (r"^memory_encoder\.pix_feat_proj\.", "memory_encoder.feature_projection."),
    (r"^memory_encoder\.out_proj\.", "memory_encoder.projection."),
    (r"^memory_encoder\.fuser\.", "memory_encoder.memory_fuser."),
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv(\d)\.", r".pointwise_conv\1."),
    (r"\.gamma$", ".scale"),
    # EdgeTAM's pooling of memories.
    (r"^spatial_perceiver\.latents$", "spatial_perceiver.latents_1d"),
    (r"^(spatial_perceiver\.layers\.\d+)\.attn\.norm_x\.", r"\1.layer_norm_input."),
    (r"^(spatial_perceiver\.layers\.\d+)\.attn\.norm_latents\.", r"\1.layer_norm_latents."),
    (r"^(spatial_perceiver\.layers\.\d+)\.self_attn\.norm\.", r"\1.layer_norm_self."),
    (r"^(spatial_perceiver\.layers\.\d+)\.attn\.", r"\1.cross_attention."),
    (r"^(spatial_perceiver\.layers\.\d+)\.self_attn\.", r"\1.self_attention."),
    (r"\.(self_)?ff\.0\.", r".\1mlp.layer_norm."),
    (r"\.(self_)?ff\.1\.", r".\1mlp.up_proj."),
    (r"\.(self_)?ff\.3\.", r".\1mlp.down_proj."),
    (r"\.to_q\.", ".q_proj."),
    (r"\.to_out\.", ".o_proj."),
    (r"\.norm(\d?)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.out_proj\.", ".o_proj."),
)
_COMPILED = tuple((re.compile(pattern), name) for pattern, name in _RULES)
# Perceptrons: the first layer, those between, and the last have names of their own.
_OF_TWO = re.compile(r"(\.mlp)\.layers\.(\d)\.")
_OF_THREE = re.compile(r"((?:output_hypernetworks_mlps\.\d+|iou_prediction_head|pred_obj_score_head|object_pointer_proj))\.layers\.(\d)\.")
_DOWNSAMPLER = re.compile(r"^memory_encoder\.mask_downsampler\.encoder\.(\d+)\.")
_POINTS = re.compile(r"^prompt_encoder\.point_embeddings\.(\d)\.weight$")
_KEYS_AND_VALUES = ".to_kv."
_PARTS_OF_SAM3 = (
    ("detector_model.vision_encoder.backbone.", "vision_encoder.backbone."),
    ("tracker_neck.", "vision_encoder.neck."),
    ("tracker_model.", ""),
)
_MEMORY_PERCEPTRON = re.compile(r"^(memory_attention\.layers\.\d+)\.linear([12])\.")


def is_transformers_layout(tensors: Mapping[str, Any]) -> bool:
    """Whether names are those of `transformers`, not of Meta's code."""
    return any(name.startswith(("vision_encoder.", "detector_model.", "tracker_model.")) for name in tensors)


def is_edgetam(tensors: Mapping[str, Any]) -> bool:
    """Whether tensors pool memories, as EdgeTAM's alone do; in either layout."""
    return any(name.startswith("spatial_perceiver.") for name in tensors)


def is_sam3_tracker(tensors: Mapping[str, Any]) -> bool:
    """Whether SAM 3's tracker is among the tensors, alone or beside the detector, in `transformers`' layout."""
    return "tracker_model.no_memory_embedding" in tensors or "vision_encoder.backbone.embeddings.position_embeddings" in tensors


def sam3_tracker_of(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The tracker's tensors of a whole SAM 3, whose picture encoder it shares with the detector; a tracker's own come back as they are."""
    found = {}
    for old, value in tensors.items():
        for beginning, new in _PARTS_OF_SAM3:
            if old.startswith(beginning):
                found[new + old.removeprefix(beginning)] = value
                break
        else:
            if not old.startswith("detector_model."):
                found[old] = value
    return found


def to_transformers(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of `sam2`'s layout in `transformers`' layout; what it holds in two places is given twice."""
    of_edgetam = is_edgetam(tensors)
    found: dict[str, Any] = {}
    points: dict[int, Any] = {}
    for old, value in tensors.items():
        if _KEYS_AND_VALUES in old:
            keys, values = value.chunk(2, dim=0)
            new = _renamed(old, of_edgetam)
            found[new.replace(_KEYS_AND_VALUES, ".k_proj.")] = keys.contiguous()
            found[new.replace(_KEYS_AND_VALUES, ".v_proj.")] = values.contiguous()
            continue
        new = _renamed(old, of_edgetam)
        point = _POINTS.match(new)
        if point:
            points[int(point.group(1))] = value
        else:
            found[new] = value
    if points:
        first = points[min(points)]
        joined = first.new_empty((len(points), *first.shape[1:]))
        for row, number in enumerate(sorted(points)):
            joined[row] = points[number][0]
        found["prompt_encoder.point_embed.weight"] = joined
    shared = found.get("prompt_encoder.shared_embedding.positional_embedding")
    if shared is not None:
        found["shared_image_embedding.positional_embedding"] = shared.clone()
    return found


def _renamed(name: str, of_edgetam: bool) -> str:
    for pattern, new in _COMPILED:
        name = pattern.sub(new, name)
    layer = _DOWNSAMPLER.match(name)
    if layer:
        number = int(layer.group(1))
        part = ("conv", "layer_norm")[number % 3]
        name = _DOWNSAMPLER.sub(f"memory_encoder.mask_downsampler.layers.{number // 3}.{part}.", name)
    if of_edgetam:
        name = _MEMORY_PERCEPTRON.sub(lambda m: f"{m.group(1)}.mlp.{('up_proj', 'down_proj')[int(m.group(2)) - 1]}.", name)
    name = _OF_TWO.sub(lambda m: f"{m.group(1)}.{('proj_in', 'proj_out')[int(m.group(2))]}.", name)
    return _OF_THREE.sub(lambda m: f"{m.group(1)}.{('proj_in', 'layers.0', 'proj_out')[int(m.group(2))]}.", name)
