"""What learning from five slices costs, embeddings cached. Imports the rest of this room, adaptation and the library."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..adaptation import AnnotatedSlice, LearningOptions, learn, learned
from ..annotator import Annotator
from ..engine import SegmentationEngine, load_engine
from ..geometry import Extent
from .parts import engine_of, random_weights
from .phantom import make_phantom

_TINY, _TINY_SIZE = "sam2.1_hiera_tiny", 512
# What was promised for two cores that nobody else wants, in seconds, all of learning but encoding.
_MOST_BUNDLED, _MOST_TINY = 20, 60
_LEARNED_FROM = (2, 5, 8, 11, 14)


def learning_cost(seconds: float) -> Iterator[tuple[str, dict]]:
    """(h) learning from five slices with the defaults, holding out included, on a phantom of 512 x 512; all embeddings are there.

    Args:
        seconds: of training.
    """
    tiny = engine_of(_TINY, _TINY_SIZE, random_weights(_TINY, _TINY_SIZE), "auto")
    bundled = load_engine("bundled", device="cpu")
    for name, engine, most in (("bundled", bundled, _MOST_BUNDLED), (f"hiera tiny at {_TINY_SIZE} px", tiny, _MOST_TINY)):
        figures = _cost_of(engine, seconds)
        yield f"h learning from 5 slices, {name}", {"seconds": figures.pop("seconds"), "at_most_on_an_idle_machine": most, **figures}


def _cost_of(engine: SegmentationEngine, seconds: float) -> dict:
    phantom = make_phantom(512, 17, 15)
    encoder = Annotator(phantom.volume, engine, window="0,255").encoder_for(phantom.center, None)
    extent = Extent(phantom.extent.first, phantom.extent.last)
    slices = [AnnotatedSlice(encoder, position, phantom.mask(position), extent) for position in _LEARNED_FROM]
    learned(learn(slices, options=LearningOptions(steps=6)))  # encodes what will be asked for
    encoded, steps = encoder.store.encoded, 0
    started, used = time.perf_counter(), time.process_time()

    def count(progress) -> None:
        nonlocal steps
        steps += progress.what == "Learning"

    learned(learn(slices, options=LearningOptions(seconds=seconds)), count)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "seconds_of_training_asked": seconds,
        "steps": steps,
        "milliseconds_a_step": round(1000 * seconds / max(steps, 1), 1),
        "slices_encoded_meanwhile": encoder.store.encoded - encoded,
        "image_size": engine.image_size,
        "precision": engine.describe()["precision"],
    }
