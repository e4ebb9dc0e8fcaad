"""What a server learned, as it would have been learned here: with the object's name and the gray window. Imports the engine's adapter.

A server is told neither: a name is typed by a person, and grays come to it ready made.
"""

from __future__ import annotations

from dataclasses import replace

from ..engine import Adapter
from ..intensity import IntensityMapping
from ..worker.messages import Learn, Learned, pack, unpack


def without_name(message: Learn) -> Learn:
    """The request as it leaves this machine; what was learned before goes without its object's name, too.

    Raises:
        WorkerError, CheckpointError: if that is no adapter.
    """
    if not message.start:
        return replace(message, object_name="")
    start = Adapter.from_bytes(unpack([message.start])[0])
    unnamed = Adapter(start.tensors, replace(start.card, object_name=""))
    return replace(message, object_name="", start=pack([unnamed.to_bytes()])[0])


def as_learned_here(reply: Learned, name: str, mapping: IntensityMapping) -> Learned:
    """The reply with what the server could not know.

    Args:
        reply: as it came.
        name: of the object.
        mapping: gray window of the slices that were learned from.

    Raises:
        CheckpointError: if what came is no adapter.
    """
    if not reply.data:
        return reply
    adapter = Adapter.from_bytes(unpack([reply.data])[0])
    card = replace(adapter.card, object_name=name, window=(float(mapping.lower), float(mapping.upper)))
    text = reply.text.replace("the object", f"'{name}'", 1) if name else reply.text
    return replace(reply, data=pack([Adapter(adapter.tensors, card).to_bytes()])[0], text=text)
