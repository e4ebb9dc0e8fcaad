"""The engine on the `transformers` package: EdgeTAM, SAM 2 and SAM 3's tracker. Imports torch; `transformers` came with the model.

It drives a video model piece by piece, as its own video session does, with what that lacks: embeddings that outlive a pass, predicted IoU
of every slice, masks together with points, and memory that does not grow. At float32 the results are those of the session to the bit;
tests compare them. Models of the `sam2` family follow `sam2` where the two differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import EngineError
from ..prompts import SlicePrompt
from .adapter import Adapter
from .compute import Compute, computing
from .engine import Embedding, SlicePrediction
from .learning import LearningRun, LearningSettings, Lesson, Place, Recollection, require_lessons
from .model_inputs import SKETCH_LOGIT_BOUND, LoadedModel, forget, given_back, marks_of, mask_of, prediction_of, settle_due
from .models.transformers_models import Shape

_CANNOT_LEARN = "Models that run on the package transformers cannot learn an object yet, nor use what was learned."
_LEARN_INSTEAD = "Choose the bundled model or a SAM 2 checkpoint with the package sam2 installed."
_ONE_OBJECT = 0


class TransformersEngine(LoadedModel):
    """A loaded video model of `transformers`. Made by `load_engine`.

    Args:
        model: in evaluation mode on `compute.device`.
        shape: what it was built from.
        name: of the checkpoint.
        weights_sha256: of its file.
        compute: where and how.
        architecture: its name, for the record.
    """

    adapter: Adapter | None = None

    def __init__(self, model: Any, shape: Shape, name: str, weights_sha256: str, compute: Compute, architecture: str):
        super().__init__(model, name, weights_sha256, compute, architecture, shape.family.mean, shape.family.std)
        self.model, self.shape = model, shape

    @property
    def fingerprint(self) -> str:
        """SHA-256 of weights, image size, precision and package; `sam2` encodes with other last bits."""
        return hashlib.sha256(f"{self._weights_sha256} {self.image_size} {self.compute} transformers".encode()).hexdigest()

    def describe(self) -> dict:
        """For the record."""
        return {**self.compute.describe(self._name, self._weights_sha256, self.image_size), "package": "transformers"}

    def with_adapter(self, adapter: Adapter | None) -> TransformersEngine:
        """This model, if nothing was learned. Raises EngineError with an adapter."""
        if adapter is not None:
            raise EngineError(_CANNOT_LEARN, _LEARN_INSTEAD)
        return self

    def propose(
        self, embedding: Embedding, frame_shape_rc: tuple[int, int], place: Place | None = None, memory: Sequence[Recollection] = ()
    ) -> SlicePrediction:
        """Raises EngineError: nothing was learned."""
        raise EngineError(_CANNOT_LEARN, _LEARN_INSTEAD)

    def start_learning(self, lessons: Sequence[Lesson], settings: LearningSettings) -> LearningRun:
        """Raises EngineError."""
        require_lessons(lessons)
        raise EngineError(_CANNOT_LEARN, _LEARN_INSTEAD)

    def encode(self, frame: np.ndarray) -> Embedding:
        """Resample one uint8 frame (rows, cols) to the model's size, as `Sam2Engine` does, and encode it."""
        picture = self._picture(frame)
        with self.running():
            encoded = self.model.get_image_features(picture, return_dict=True)
            if self._positions is None:  # the same for every frame
                self._positions = [position.float() for position in encoded.fpn_position_encoding]
            kept = torch.float16 if self.compute.half_embeddings else torch.float32
            return Embedding(tuple(level[:, 0].to(kept).cpu().numpy() for level in encoded.fpn_hidden_states))

    def start_track(self, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool) -> TransformersTrack:
        """A fresh memory."""
        return TransformersTrack(self, frame_shape_rc, slice_count, reverse)

    def features(self, embedding: Embedding) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Features and position codes (HW, 1, C) by level, fine to coarse."""
        if self._positions is None:
            self.encode(np.zeros((8, 8), dtype=np.uint8))
        assert self._positions is not None
        return [torch.from_numpy(array)[:, None].to(self.compute.device).float() for array in embedding.arrays], self._positions

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the model computes as `compute` says. Raises EngineError."""
        with computing(self.compute, self._name, self.image_size, torch.inference_mode):
            yield


class TransformersTrack:
    """One pass with a memory of its own.

    The memory of a slice is encoded only when a next slice is asked for: a preview, and the last slice of a pass, need none.
    """

    def __init__(self, engine: TransformersEngine, frame_shape_rc: tuple[int, int], slice_count: int, reverse: bool):
        self._engine, self._model, self._family = engine, engine.model, engine.shape.family
        self._shape_rc, self._slice_count, self._reverse = frame_shape_rc, slice_count, reverse
        self._memory: dict[str, dict[int, dict]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        # What the model reads of a video session when it looks at its memory.
        self._session = SimpleNamespace(output_dict_per_obj={_ONE_OBJECT: self._memory}, dtype=torch.float32)
        self._due: list[tuple[int, list[torch.Tensor], Any, bool]] = []  # position, features, outputs, whether prompted

    def condition(self, position: int, embedding: Embedding, prompt: SlicePrompt) -> SlicePrediction:
        """Make the slice a conditioning frame."""
        with self._engine.running():
            features, _ = self._engine.features(embedding)
            outputs = None if prompt.mask is None else self._from_mask(features, prompt.mask)
            final = prompt.final_mask
            if final is None:
                sketch = None if outputs is None else outputs.pred_masks.clamp(-SKETCH_LOGIT_BOUND, SKETCH_LOGIT_BOUND)
                outputs = self._from_points(features, prompt, sketch)
            self._due.append((position, features, outputs, True))
            if final is not None:
                return given_back(final)
            return self._prediction(outputs)

    def remember(self, position: int, embedding: Embedding, mask: np.ndarray) -> None:
        """Put an earlier mask into the memory."""
        with self._engine.running():
            features, _ = self._engine.features(embedding)
            self._due.append((position, features, self._from_mask(features, mask), False))

    def step(self, position: int, embedding: Embedding) -> SlicePrediction:
        """Predict the slice from memory, remember it, forget what no later step can read."""
        with self._engine.running():
            self._encode_due()
            features, places = self._engine.features(embedding)
            top = self._model._prepare_memory_conditioned_features(
                inference_session=self._session,
                frame_idx=position,
                obj_idx=_ONE_OBJECT,
                is_initial_conditioning_frame=False,
                current_vision_features=features[-1],
                current_vision_positional_embeddings=places[-1],
                num_total_frames=self._slice_count,
                track_in_reverse_time=self._reverse,
            )
            outputs = self._model._single_frame_forward(
                image_embeddings=[*self._fine(features), top], multimask_output=self._model._use_multimask(False, None)
            )
            self._due.append((position, features, outputs, False))
            self._forget(position)
            return self._prediction(outputs)

    def _from_points(self, features: list[torch.Tensor], prompt: SlicePrompt, sketch: torch.Tensor | None) -> Any:
        coords, labels = self._point_inputs(prompt)
        return self._model._single_frame_forward(
            input_points=coords,
            input_labels=labels,
            input_masks=sketch,
            image_embeddings=[*self._fine(features), self._memoryless(features)],
            multimask_output=self._model._use_multimask(True, {"point_labels": labels}),
        )

    def _from_mask(self, features: list[torch.Tensor], mask: np.ndarray) -> Any:
        """What the memory takes of a mask that is given: its logits are -10 and 10, its pointer is the decoder's."""
        given, top, fine = self._mask_inputs(mask), self._image(features[-1], -1), self._fine(features)
        outputs = self._model._use_mask_as_output(top, fine, given)
        if self._family.as_sam2:
            decoded = self._model._single_frame_forward(
                input_masks=self._model.mask_downsample(given), image_embeddings=[*fine, top], multimask_output=False
            )
            present = given.flatten(1).any(dim=1)[:, None].to(decoded.object_pointer.dtype)
            outputs.object_pointer = present * decoded.object_pointer + (1 - present) * self._model.no_object_pointer
        return outputs

    def _encode_due(self) -> None:
        """Encode what was seen since the last step into the memory, in the order in which it was seen."""
        for position, features, outputs, prompted in self._due:
            settle_due(self._memory, position, self._kept(features, outputs, prompted), prompted)
        self._due.clear()

    def _kept(self, features: list[torch.Tensor], outputs: Any, prompted: bool) -> dict[str, torch.Tensor]:
        """What later steps read of a slice."""
        logits = outputs.high_res_masks
        if prompted and self._family.as_sam2:
            size = self._model.image_size
            logits = F.interpolate(outputs.pred_masks.float(), size=(size, size), mode="bilinear", align_corners=False)
        memory, positions = self._model._encode_new_memory(
            current_vision_feats=features[-1],
            pred_masks_high_res=logits,
            object_score_logits=outputs.object_score_logits.reshape(1, 1, 1),
            is_mask_from_pts=prompted and self._engine.shape.binarize_prompted_masks,
        )
        return {"maskmem_features": memory, "maskmem_pos_enc": positions, "object_pointer": outputs.object_pointer}

    def _forget(self, position: int) -> None:
        pointer_reach = int(self._model.config.max_object_pointers_in_encoder)
        forget(self._memory["non_cond_frame_outputs"], position, self._engine.memory_reach, pointer_reach, "object_pointer")

    def _memoryless(self, features: list[torch.Tensor]) -> torch.Tensor:
        return self._image(features[-1] + self._model.no_memory_embedding, -1)

    def _fine(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        return [self._image(level, number) for number, level in enumerate(features[:-1])]

    def _image(self, level: torch.Tensor, number: int) -> torch.Tensor:
        """(HW, 1, C) to (1, C, H, W)."""
        return level.permute(1, 2, 0).reshape(1, -1, *self._model.backbone_feature_sizes[number])

    def _point_inputs(self, prompt: SlicePrompt) -> tuple[torch.Tensor, torch.Tensor]:
        coords, labels = marks_of(prompt, self._shape_rc, self._model.image_size)
        device = self._engine.compute.device
        return coords[None].to(device), labels[None].to(device)

    def _mask_inputs(self, mask: np.ndarray) -> torch.Tensor:
        return mask_of(mask, self._model.image_size, self._engine.compute.device)

    def _prediction(self, outputs: Any) -> SlicePrediction:
        logits = outputs.pred_masks.reshape(1, 1, *outputs.pred_masks.shape[-2:])
        return prediction_of(logits, outputs.iou_scores, outputs.object_score_logits, self._shape_rc)
