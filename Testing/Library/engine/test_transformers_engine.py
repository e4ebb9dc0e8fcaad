"""The second engine against transformers' own video session, with random weights: small figures, the real pieces."""

import sys

import numpy as np
import pytest
from PIL import Image

from SAM2AnnotateLib.engine.learning import LearningSettings, Lesson
from SAM2AnnotateLib.errors import EngineError, InputError
from SAM2AnnotateLib.geometry import Box2D
from SAM2AnnotateLib.prompts import Point, SlicePrompt

torch = pytest.importorskip("torch", reason="the extra engine-transformers is not installed (torch)")
transformers = pytest.importorskip("transformers", reason="the extra engine-transformers is not installed (transformers)")

from SAM2AnnotateLib.engine.compute import Compute  # noqa: E402
from SAM2AnnotateLib.engine.models.model_configs import Architecture  # noqa: E402
from SAM2AnnotateLib.engine.models.transformers_models import (  # noqa: E402
    EDGETAM,
    SAM2,
    SAM3_TRACKER,
    Family,
    Shape,
    build_model,
    edgetam_shape,
    require_size,
    sam2_shape,
)
from SAM2AnnotateLib.engine.transformers_engine import TransformersEngine  # noqa: E402

# Without a direction of its own `transformers` would answer as `sam2` does; against its own session it must not.
AS_TRANSFORMERS = Family(SAM2.name, SAM2.model_class, SAM2.config_class, SAM2.size_step, SAM2.native_image_size)
SHAPE_RC = (40, 56)
BOX = Box2D(8, 28, 10, 34)


def small_sam2() -> Shape:
    figures = Architecture(embed_dim=16, num_heads=1, stages=(1, 1, 2, 1), global_attention_blocks=(3,), memory_layers=1, feedforward=64)
    return sam2_shape(figures, 128, AS_TRANSFORMERS)


def small_edgetam() -> Shape:
    return edgetam_shape(256, widths=(8, 16, 24, 32), depths=(1, 1, 2, 1), memory_attention_num_layers=1)


def small_sam3() -> Shape:
    backbone = {"model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    backbone |= {"num_attention_heads": 2, "window_size": 4, "global_attn_indexes": [1], "image_size": 112, "pretrain_image_size": 56}
    vision = {"model_type": "sam3_vision_model", "backbone_config": backbone}
    return Shape(SAM3_TRACKER, {"vision_config": vision, "image_size": 112, "memory_attention_num_layers": 1})


SHAPES = {"sam2": small_sam2, "edgetam": small_edgetam, "sam3_tracker": small_sam3}


def random_model(shape: Shape, seed: int = 0):
    """Weights large enough that pictures and prompts show in the masks."""
    torch.manual_seed(seed)
    model = build_model(shape)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1:
                value.normal_(0, 1.4 / value[0].numel() ** 0.5 if "embed" not in name else 0.5)
            else:
                value.add_(torch.randn_like(value) * 0.05)
        for name, value in model.named_buffers():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
    return model


@pytest.fixture(scope="module", params=list(SHAPES))
def engine(request) -> TransformersEngine:
    shape = SHAPES[request.param]()
    compute = Compute("cpu", bf16=False, half_embeddings=False)
    return TransformersEngine(random_model(shape), shape, request.param, "random", compute, request.param)


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    rows, cols = np.mgrid[: SHAPE_RC[0], : SHAPE_RC[1]]
    noise = np.random.default_rng(1).integers(0, 40, (10, *SHAPE_RC))
    return [((np.hypot(rows - 18, cols - 20 - k) < 9) * 150 + noise[k]).astype(np.uint8) for k in range(10)]


class Stock:
    """transformers' own session over all frames."""

    def __init__(self, engine: TransformersEngine, frames: list[np.ndarray]):
        self.model, size = engine.model, engine.image_size
        mean, std = (torch.tensor(v)[:, None, None] for v in (engine.shape.family.mean, engine.shape.family.std))
        pictures = [
            torch.from_numpy(np.array(Image.fromarray(f).resize((size, size))) / 255.0).float().expand(3, size, size) for f in frames
        ]
        video = torch.stack([(picture - mean) / std for picture in pictures])
        session_class = getattr(sys.modules[type(engine.model).__module__], engine.shape.family.model_class[:-5] + "InferenceSession")
        self.session = session_class(video=video, video_height=SHAPE_RC[0], video_width=SHAPE_RC[1], dtype=torch.float32)
        self.index = self.session.obj_id_to_idx(1)

    def points(self, position: int, coords: list[tuple[float, float]], labels: list[int]) -> np.ndarray:
        scaled = torch.tensor(coords)[None, None] / torch.tensor([SHAPE_RC[1], SHAPE_RC[0]]) * self.model.image_size
        inputs = {"point_coords": scaled, "point_labels": torch.tensor(labels, dtype=torch.int32)[None, None]}
        self.session.add_point_inputs(self.index, position, inputs)
        return self._new(position)

    def mask(self, position: int, mask: np.ndarray) -> np.ndarray:
        size = self.model.image_size
        whole = torch.from_numpy(mask.astype(np.float32))[None, None]
        given = torch.nn.functional.interpolate(whole, size=(size, size), align_corners=False, mode="bilinear", antialias=True) >= 0.5
        self.session.add_mask_inputs(self.index, position, given.float())
        return self._new(position)

    def _new(self, position: int) -> np.ndarray:
        self.session.obj_with_new_inputs = [1]
        return self.whole(self.model(self.session, frame_idx=position))

    def passed(self, start: int, reverse: bool) -> dict[int, np.ndarray]:
        return {out.frame_idx: self.whole(out) for out in self.model.propagate_in_video_iterator(self.session, start, reverse=reverse)}

    @staticmethod
    def whole(out) -> np.ndarray:
        logits = out.pred_masks.float().reshape(1, 1, *out.pred_masks.shape[-2:])
        return torch.nn.functional.interpolate(logits, size=SHAPE_RC, mode="bilinear", align_corners=False)[0, 0].numpy()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_box_and_its_pass_are_those_of_the_session(engine, frames, reverse):
    stock = Stock(engine, frames)
    start, order = (9, range(8, -1, -1)) if reverse else (0, range(1, 10))
    track = engine.start_track(SHAPE_RC, len(frames), reverse)
    first = track.condition(start, engine.encode(frames[start]), SlicePrompt(box=BOX))
    expected = stock.points(start, [(BOX.col_start, BOX.row_start), (BOX.col_stop, BOX.row_stop)], [2, 3])
    assert np.array_equal(first.logits, expected)
    assert np.ptp(expected) > 0.1  # a picture, not a constant
    passed = stock.passed(start, reverse)
    for position in order:
        prediction = track.step(position, engine.encode(frames[position]))
        assert np.array_equal(prediction.logits, passed[position]), position
        assert 0 <= prediction.predicted_iou <= 1 and 0 <= prediction.object_score <= 1


def test_a_final_mask_and_clicks_elsewhere_condition_as_in_the_session(engine, frames):
    stock = Stock(engine, frames)
    rows, cols = np.mgrid[: SHAPE_RC[0], : SHAPE_RC[1]]
    drawn = np.hypot(rows - 18, cols - 22) < 8
    track = engine.start_track(SHAPE_RC, len(frames), False)
    given = track.condition(2, engine.encode(frames[2]), SlicePrompt(mask=drawn))
    assert np.array_equal(given.mask, drawn) and given.predicted_iou == 1
    stock.mask(2, drawn)
    clicked = track.condition(6, engine.encode(frames[6]), SlicePrompt(points=(Point(18, 25, True), Point(3, 50, False))))
    assert np.array_equal(clicked.logits, stock.points(6, [(25.5, 18.5), (50.5, 3.5)], [1, 0]))
    passed = stock.passed(2, False)
    for position in (3, 4, 5):
        assert np.array_equal(track.step(position, engine.encode(frames[position])).logits, passed[position]), position


def test_what_was_passed_can_be_remembered_from_elsewhere(engine, frames):
    """A correction starts a fresh track and puts the slices before it into its memory."""
    track = engine.start_track(SHAPE_RC, len(frames), False)
    first = track.condition(0, engine.encode(frames[0]), SlicePrompt(box=BOX))
    alone = track.step(2, engine.encode(frames[2]))
    track = engine.start_track(SHAPE_RC, len(frames), False)
    track.condition(0, engine.encode(frames[0]), SlicePrompt(box=BOX))
    track.remember(1, engine.encode(frames[1]), ~first.mask)
    remembered = track.step(2, engine.encode(frames[2]))
    assert not np.array_equal(alone.logits, remembered.logits)


def test_a_sketch_and_a_box_are_one_prompt(engine, frames):
    embedding = engine.encode(frames[0])
    sketch = np.zeros(SHAPE_RC, dtype=bool)
    sketch[10:20, 15:30] = True
    answers = [
        engine.start_track(SHAPE_RC, 1, False).condition(0, embedding, prompt).logits
        for prompt in (SlicePrompt(box=BOX), SlicePrompt(box=BOX, mask=sketch), SlicePrompt(mask=sketch, points=(Point(3, 3, False),)))
    ]
    assert not any(np.array_equal(answers[a], answers[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_memory_does_not_grow(engine, frames):
    track = engine.start_track(SHAPE_RC, 22, False)
    embedding = engine.encode(frames[0])
    track.condition(0, embedding, SlicePrompt(box=BOX))
    for position in range(1, 22):
        track.step(position, embedding)
    past = track._memory["non_cond_frame_outputs"]
    assert len(past) <= 16 and sum("maskmem_features" in kept for kept in past.values()) <= engine.memory_reach + 1


def test_half_precision_embeddings_and_bf16_stay_near(engine, frames):
    half = TransformersEngine(engine.model, engine.shape, engine.name, "random", Compute("cpu", True, True), engine.architecture)
    exact, near = (one.start_track(SHAPE_RC, 1, False).condition(0, one.encode(frames[0]), SlicePrompt(box=BOX)) for one in (engine, half))
    assert half.encode(frames[0]).arrays[0].dtype == np.float16
    assert engine.fingerprint != half.fingerprint
    assert np.mean(exact.mask == near.mask) > 0.9


def test_learning_is_told_to_be_missing(engine, frames):
    lesson = Lesson(engine.encode(frames[0]), frames[0] > 100)
    with pytest.raises(EngineError, match="cannot learn an object yet"):
        engine.start_learning([lesson], LearningSettings())
    with pytest.raises(EngineError, match="cannot learn an object yet"):
        engine.propose(lesson.embedding, SHAPE_RC)
    assert engine.with_adapter(None) is engine and engine.describe()["package"] == "transformers"


@pytest.mark.parametrize(("family", "size"), [(EDGETAM, 320), (SAM3_TRACKER, 512), (SAM2, 100), (SAM2, 4096)])
def test_sizes_that_a_family_cannot_take_are_refused(family, size):
    with pytest.raises(InputError, match="must be a multiple of"):
        require_size(family, size)
