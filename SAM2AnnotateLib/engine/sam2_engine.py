"""The engine on Meta's `sam2` package. This file and `loading.py` alone import torch and sam2 (besides `training` and `benchmark`).

It drives `SAM2Base` step by step as `SAM2VideoPredictor` does (sam2 1.1.0, sam2_video_predictor.py), with what that lacks: embeddings that
outlive a pass, predicted IoU and object score of every slice, and memory that does not grow with the video. At float32 the results are
those of `SAM2VideoPredictor` to the bit; tests compare them.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import EngineError
from ..prompts import SlicePrompt
from .adapter import Adapter, described
from .blending import blended
from .compute import Compute, computing
from .engine import Embedding, SlicePrediction
from .learning import LearningSettings, Lesson, Place, Recollection, require_lessons
from .model_inputs import SKETCH_LOGIT_BOUND, LoadedModel, forget, given_back, marks_of, mask_of, prediction_of, settle_due
from .sam2_heads import LearnedHeads
from .sam2_learning import Sam2LearningRun

# ImageNet statistics that every SAM 2 checkpoint was trained with (sam2/utils/misc.py).
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What SAM 2 puts in place of a mask where it says "no object" (sam2/modeling/sam2_base.py).
_ABSENT_LOGIT = -1024.0


class Sam2Engine(LoadedModel):
    """A loaded SAM 2 model. Made by `load_engine`.

    Args:
        model: SAM2Base in evaluation mode on `compute.device`.
        name: of the checkpoint.
        weights_sha256: of its file.
        compute: where and how.
        architecture: a name of `ARCHITECTURES`.
    """

    def __init__(self, model: torch.nn.Module, name: str, weights_sha256: str, compute: Compute, architecture: str = ""):
        super().__init__(model, name, weights_sha256, compute, architecture, _MEAN, _STD)
        self._adapter: Adapter | None = None
        self._heads: LearnedHeads | None = None

    @property
    def adapter(self) -> Adapter | None:
        """What was learned and is used here."""
        return self._adapter

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights, image size and precision."""
        return hashlib.sha256(f"{self._weights_sha256} {self.image_size} {self.compute}".encode()).hexdigest()

    def describe(self) -> dict:
        """For the record."""
        return {**self.compute.describe(self._name, self._weights_sha256, self.image_size), **described(self._adapter)}

    def with_adapter(self, adapter: Adapter | None) -> Sam2Engine:
        """The same model, its prompt encoder and mask decoder as learned."""
        changed = copy.copy(self)
        changed._adapter, changed._heads = adapter, None
        if adapter is not None:
            adapter.require_base(self._weights_sha256, self._name)
            with self._computing(torch.no_grad):
                changed._heads = LearnedHeads(self._model)
                changed._heads.take(adapter)
        return changed

    def propose(
        self, embedding: Embedding, frame_shape_rc: tuple[int, int], place: Place | None = None, memory: Sequence[Recollection] = ()
    ) -> SlicePrediction:
        """The object without a prompt, as learned; with its place and a slice beside it, it is there."""
        if self._heads is None:
            raise EngineError("Nothing was learned of an object: without a prompt there is nothing to look for.", "Load an adapter.")
        with self._running():
            top, *fine = self._levels(embedding, frame_shape_rc, memory)
            logits, ious, objects = self._heads(top[None].float(), [level[None].float() for level in fine], None, None, (place,))
            return self._prediction(logits, ious, objects, frame_shape_rc, gated=not memory or place is None)

    def start_learning(self, lessons: Sequence[Lesson], settings: LearningSettings) -> Sam2LearningRun:
        """Begin to train a copy of prompt encoder and mask decoder, from what was learned before if there is an adapter."""
        require_lessons(lessons)
        with self._computing(torch.no_grad):
            heads = LearnedHeads(self._model)
            if self._adapter is not None:
                heads.take(self._adapter)
        return Sam2LearningRun(
            heads, lessons, self._levels_of, settings, self.image_size, self.compute.device, lambda: self._computing(torch.enable_grad)
        )

    def answers(self, prompt: SlicePrompt) -> bool:
        """Whether a prompt is answered as learned."""
        return self.share_of_learned(prompt) > 0

    def share_of_learned(self, prompt: SlicePrompt) -> float:
        """Of what was learned in the answer to a prompt; the rest is the model as it came."""
        return 0.0 if self._adapter is None else self._adapter.share("point" if prompt.box is None else "box")

    def _levels_of(self, lesson: Lesson) -> tuple[torch.Tensor, ...]:
        """The features that a lesson's decoder runs take, free of inference mode."""
        with self._computing(torch.no_grad):
            top, *fine = self._levels(lesson.embedding, lesson.mask.shape, lesson.memory)
            return top.clone(), *fine  # the finer ones are the embedding's own, which many lessons share

    def _levels(self, embedding: Embedding, frame_shape_rc: tuple[int, int], memory: Sequence[Recollection]) -> list[torch.Tensor]:
        """Features as the decoder takes them, top first; the top with what is remembered, or with what stands for "no memory"."""
        if not memory:
            return self._memoryless(embedding)
        here = 1 - min(0, *(one.position for one in memory))  # SAM 2 numbers frames from 0
        count = 1 + here + max(0, *(one.position for one in memory))
        track = Sam2Track(self, frame_shape_rc, count, reverse=all(one.position > 0 for one in memory))
        for one in memory:
            track.condition(here + one.position, one.embedding, SlicePrompt(mask=one.mask))
        return [track.remembered(here, embedding), *self._memoryless(embedding)[1:]]

    def _memoryless(self, embedding: Embedding) -> list[torch.Tensor]:
        """Top features with what stands for "no memory", then the finer levels, coarse to fine reversed as the decoder takes them."""
        levels = [torch.from_numpy(array).to(self.compute.device) for array in embedding.arrays]
        top = levels[-1].float() + self._model.no_mem_embed.detach().float().reshape(-1, 1, 1)
        return [top, *levels[:-1]]

    def _prediction(
        self,
        low_res: torch.Tensor,
        ious: torch.Tensor,
        object_logits: torch.Tensor,
        frame_shape_rc: tuple[int, int],
        gated: bool = True,
    ) -> SlicePrediction:
        """What the learned heads say, at the frame's resolution; `gated`: nothing where they say that the object is not there."""
        logits = low_res.float()
        if gated:
            logits = torch.where(object_logits[:, :, None, None] > 0, logits, torch.full_like(logits, _ABSENT_LOGIT))
        return prediction_of(logits, ious, object_logits, frame_shape_rc, bounded=True)

    def encode(self, frame: np.ndarray) -> Embedding:
        """Resample one uint8 frame (rows, cols) to the model's size and encode it."""
        picture = self._picture(frame)
        with self._running():
            encoded = self._model.forward_image(picture)
            levels = encoded["backbone_fpn"][-self._model.num_feature_levels :]
            if self._positions is None:  # the same for every frame
                self._positions = [p.float() for p in encoded["vision_pos_enc"][-self._model.num_feature_levels :]]
            kept = torch.float16 if self.compute.half_embeddings else torch.float32
            return Embedding(tuple(level[0].to(kept).cpu().numpy() for level in levels))

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> Sam2Track:
        """A fresh SAM 2 state."""
        return Sam2Track(self, frame_shape_rc, slice_count, reverse)

    def features(self, embedding: Embedding) -> tuple[list[torch.Tensor], list[torch.Tensor], list[tuple[int, int]]]:
        """An embedding as the model takes it: features and position codes (HW, 1, C) and sizes (H, W), by level."""
        if self._positions is None:
            self.encode(np.zeros((8, 8), dtype=np.uint8))
        levels = [torch.from_numpy(array)[None].to(self.compute.device).float() for array in embedding.arrays]
        _, features, positions, sizes = self._model._prepare_backbone_features({"backbone_fpn": levels, "vision_pos_enc": self._positions})
        return features, positions, sizes

    @contextmanager
    def _running(self) -> Iterator[None]:
        with self._computing(torch.inference_mode):
            yield

    @contextmanager
    def _computing(self, gradients: Callable[[], AbstractContextManager]) -> Iterator[None]:
        with computing(self.compute, self._name, self.image_size, gradients):
            yield


class Sam2Track:
    """One pass with a SAM 2 state of its own.

    The memory of a slice is encoded only when a next slice is asked for: a preview, and the last slice of a pass, need none.
    """

    def __init__(self, engine: Sam2Engine, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool):
        self._engine, self._model = engine, engine._model
        self._shape_rc, self._slice_count, self._reverse = frame_shape_rc, slice_count, reverse
        self._memory: dict[str, dict[int, dict]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        self._due: list[tuple] = []  # what is to be remembered: position, features, outputs, whether prompted

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """Make the slice a conditioning frame."""
        with self._engine._running():
            features = self._engine.features(embedding)
            outputs = None
            if prompt.mask is not None:
                outputs = self._run(position, features, mask_inputs=self._mask_inputs(prompt.mask))
            final = prompt.final_mask
            if final is None and self._engine.answers(prompt):
                return self._as_learned(position, features, embedding, prompt, outputs)
            if final is None:
                sketch = None if outputs is None else outputs[3].clamp(-SKETCH_LOGIT_BOUND, SKETCH_LOGIT_BOUND)
                outputs = self._run(position, features, point_inputs=self._point_inputs(prompt), sketch=sketch)
            self._due.append((position, features, outputs, True))
            if final is not None:
                return given_back(final)
            return self._prediction(outputs)

    def _as_learned(self, position: int, features, embedding: Embedding, prompt: SlicePrompt, drawn) -> SlicePrediction:
        """What the adapter makes of a prompt. The memory takes it as a mask that was given: it stays as it came."""
        engine = self._engine
        assert engine._heads is not None  # an adapter answers
        top, *fine = engine._memoryless(embedding)
        sketch = None if drawn is None else drawn[3].clamp(-SKETCH_LOGIT_BOUND, SKETCH_LOGIT_BOUND)
        clicks = self._point_inputs(prompt)
        points = (clicks["point_coords"], clicks["point_labels"])
        logits, ious, objects = engine._heads(top[None].float(), [level[None].float() for level in fine], points, sketch)
        prediction = engine._prediction(logits, ious, objects, self._shape_rc)
        share = engine.share_of_learned(prompt)
        if share < 1:
            as_it_came = self._prediction(self._run(position, features, point_inputs=clicks, sketch=sketch))
            prediction = blended(prediction, as_it_came, share)
        outputs = self._run(position, features, mask_inputs=self._mask_inputs(prediction.mask))
        self._due.append((position, features, outputs, True))
        return prediction

    def remembered(self, position: int, embedding: Embedding) -> torch.Tensor:
        """(C, S/16, S/16) features of a slice with what the memory adds, before any decoder."""
        with self._engine._running():
            self._encode_due()
            vision, places, sizes = self._engine.features(embedding)
            return self._model._prepare_memory_conditioned_features(
                frame_idx=position,
                is_init_cond_frame=False,
                current_vision_feats=vision[-1:],
                current_vision_pos_embeds=places[-1:],
                feat_sizes=sizes[-1:],
                output_dict=self._memory,
                num_frames=self._slice_count,
                track_in_reverse=self._reverse,
            )[0]

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """Put an earlier mask into the memory."""
        with self._engine._running():
            features = self._engine.features(embedding)
            outputs = self._run(position, features, mask_inputs=self._mask_inputs(mask))
            self._due.append((position, features, outputs, False))

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """Predict the slice from memory, remember it, forget what no later step can read."""
        with self._engine._running():
            self._encode_due()
            features = self._engine.features(embedding)
            outputs = self._run(position, features)
            self._due.append((position, features, outputs, False))
            self._forget(position)
            return self._prediction(outputs)

    def _encode_due(self) -> None:
        """Encode what was seen since the last step into the memory, in the order in which it was seen."""
        for position, features, outputs, prompted in self._due:
            settle_due(self._memory, position, self._kept(features, outputs, prompted), prompted)
        self._due.clear()

    def _run(self, position: int, features, point_inputs=None, mask_inputs=None, sketch=None):
        vision, places, sizes = features
        prompted = point_inputs is not None or mask_inputs is not None
        _, outputs, _, _ = self._model._track_step(
            frame_idx=position,
            is_init_cond_frame=prompted,
            current_vision_feats=vision,
            current_vision_pos_embeds=places,
            feat_sizes=sizes,
            point_inputs=point_inputs,
            mask_inputs=mask_inputs,
            output_dict=self._memory,
            num_frames=self._slice_count,
            # Stock adds prompts before it knows the direction of the pass; it matters only to steps.
            track_in_reverse=self._reverse and not prompted,
            prev_sam_mask_logits=sketch,
        )
        return outputs

    def _kept(self, features, outputs, prompted: bool) -> dict:
        """What later steps read of a slice: memory features in bfloat16 as stock keeps them, and the object pointer."""
        _, _, _, low_res, high_res, pointer, object_logits = outputs
        vision, _, sizes = features
        if prompted:  # stock encodes prompted frames from the low-resolution mask, when the pass starts
            size = self._model.image_size
            high_res = F.interpolate(low_res, size=(size, size), mode="bilinear", align_corners=False)
        memory, positions = self._model._encode_new_memory(
            current_vision_feats=vision,
            feat_sizes=sizes,
            pred_masks_high_res=high_res,
            object_score_logits=object_logits,
            is_mask_from_pts=prompted,
        )
        return {"maskmem_features": memory.to(torch.bfloat16), "maskmem_pos_enc": positions, "obj_ptr": pointer}

    def _forget(self, position: int) -> None:
        pointer_reach = int(self._model.max_obj_ptrs_in_encoder)
        forget(self._memory["non_cond_frame_outputs"], position, self._engine.memory_reach, pointer_reach, "obj_ptr")

    def _point_inputs(self, prompt: SlicePrompt) -> dict[str, torch.Tensor]:
        coords, labels = marks_of(prompt, self._shape_rc, self._model.image_size)
        device = self._engine.compute.device
        return {"point_coords": coords.to(device), "point_labels": labels.to(device)}

    def _mask_inputs(self, mask: np.ndarray) -> torch.Tensor:
        return mask_of(mask, self._model.image_size, self._engine.compute.device)

    def _prediction(self, outputs) -> SlicePrediction:
        _, _, ious, low_res, _, _, object_logits = outputs
        return prediction_of(low_res, ious, object_logits, self._shape_rc)
