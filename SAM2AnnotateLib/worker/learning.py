"""What the worker does beyond masks from prompts: learn an object, find it again, find its ends. Imports adaptation, prototypes, messages.

Each function gives the replies to one request as they come. Nothing is written: what was learned goes back inside the reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..adaptation import AnnotatedSlice, LearningOptions, learn
from ..engine.adapter import Adapter
from ..geometry import Extent
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..prompts.mask_runs import mask_from_runs
from ..propagation import RegionPolicy, SliceEncoder
from ..prototypes import ProposedObject, propose, propose_extent, prototype_from_bytes
from .messages import (
    ExtentProposed,
    Learn,
    Learned,
    Message,
    ObjectNotFound,
    ObjectProposed,
    Progressed,
    ProposeExtent,
    ProposeObject,
    SliceDone,
    pack,
    reading,
    unpack,
)


def learned(message: Learn, encoder_of: Callable[[str], SliceEncoder], cancel: CancelToken) -> Iterator[Message]:
    """Learn from a person's slices; where it is, then what it brought.

    Args:
        message: the request.
        encoder_of: gives the encoder of an open volume.
        cancel: asked before each step.
    """
    slices = [_annotated(lesson, encoder_of) for lesson in message.lessons]
    seconds = LearningOptions.seconds if message.seconds is None else message.seconds
    with reading("The request"):
        options = LearningOptions(seconds=seconds, steps=message.steps, seed=message.seed)
    start = _start_of(message, slices)
    learning = learn(
        slices,
        object_name=message.object_name,
        terminology=message.terminology or None,
        policy=RegionPolicy.parse(message.roi),
        options=options,
        start=start,
        cancel=cancel,
    )
    outcome = yield from _progressed(message.request, learning)
    yield Learned(
        message.request,
        "" if outcome.adapter is None else pack([outcome.adapter.to_bytes()])[0],
        dict(outcome.before),
        dict(outcome.after),
        outcome.steps,
        outcome.seconds,
        outcome.slices,
        outcome.volumes,
        outcome.text,
    )


def found_object(message: ProposeObject, encoder: SliceEncoder, cancel: CancelToken) -> Iterator[Message]:
    """Look for the object of prototypes; where it is, then the slices of what was found, or that it was not."""
    prototypes = [prototype_from_bytes(data) for data in unpack(message.prototypes)]
    if message.adapter:
        encoder = encoder.with_engine(encoder.engine.with_adapter(Adapter.from_bytes(unpack([message.adapter])[0])))
    found = yield from _progressed(message.request, propose(encoder, prototypes, RegionPolicy.parse(message.roi), cancel=cancel))
    if not isinstance(found, ProposedObject):
        yield ObjectNotFound(message.request, found.reason, found.likeness, found.seconds)
        return
    for done, position in enumerate(sorted(found.results), start=1):
        yield SliceDone.of(message.request, found.results[position], done, len(found.results))
    doubts = {str(position): float(doubt) for position, doubt in sorted(found.doubts.items())}
    extent = [found.extent.first, found.extent.last]
    yield ObjectProposed(message.request, found.center_position, extent, doubts, list(found.prototypes), found.seconds)


def found_extent(message: ProposeExtent, encoder: SliceEncoder, cancel: CancelToken) -> Iterator[Message]:
    """Look for first and last slice of what is prompted on one slice."""
    with reading("The request"):
        prompt, policy = SlicePrompt.from_json(message.prompt), RegionPolicy.parse(message.roi)
    found = yield from _progressed(message.request, propose_extent(encoder, message.position, prompt, policy, cancel))
    extent = found.extent
    yield ExtentProposed(message.request, extent.first, extent.last, found.certainty_first, found.certainty_last)


def _start_of(message: Learn, slices: list[AnnotatedSlice]) -> Adapter | None:
    """What learning goes on from. Raises CheckpointError if it is damaged, or the model that learns does not take it."""
    if not message.start:
        return None
    start = Adapter.from_bytes(unpack([message.start])[0])
    for one in slices[:1]:
        one.encoder.engine.with_adapter(start)
    return start


def _annotated(lesson: dict, encoder_of: Callable[[str], SliceEncoder]) -> AnnotatedSlice:
    with reading("A lesson"):
        volume, position, mask, extent = lesson["volume"], lesson["position"], mask_from_runs(lesson["mask"]), Extent(*lesson["extent"])
        drawn = bool(lesson.get("drawn", True))
    return AnnotatedSlice(encoder_of(volume), position, mask, extent, drawn)


def _progressed(request: int, work: Iterator[Progress]):
    """Tell where a generator is; what it returns."""
    while True:
        try:
            where = next(work)
        except StopIteration as end:
            return end.value
        yield Progressed(request, where.done, where.total, where.what)
