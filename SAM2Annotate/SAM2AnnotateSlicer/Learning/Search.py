"""Search: one search for an object by its prototypes: what is sent to the model, and what comes back. Imports the library; no Qt.

The same for the panel, whose volume is a node, and for the worklist, whose volumes are files.
"""

from __future__ import annotations

import copy
import hashlib

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.worker.messages import MOST_BYTES, Message, ObjectNotFound, ObjectProposed

from ..Model.ModelService import OpenedVolume
from ..Review.Workspace import now


class Search:
    """What is looked for, and what was found.

    Args:
        name: of the object.
        prototypes: of it, at least one.
        adapter: the bytes of what was learned of it; empty if nothing was.

    Attributes:
        isOfLibrary: whether what was learned is the library's.
        files: the prototypes as they travel, without their adapter: the first ones that fit into one message.
        axis: index axis that the volume is sliced along, once `opened` was called.
        mapping: its gray, likewise.
        found: where the object is; None if it was not found.
        notFound: why not; None if it was found.
        stamp: tells searches with other prototypes, or with other things learned, apart.
    """

    def __init__(self, name: str, prototypes: list, adapter: bytes = b""):
        from SAM2AnnotateLib.prototypes import prototype_to_bytes  # here, as much of the library comes with it

        self.name, self.adapter, self._prototypes, self.isOfLibrary = name, adapter, prototypes, False
        packed = [prototype_to_bytes(one) for one in prototypes]
        self.stamp = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for data in (*packed, adapter))).hexdigest()
        self.files: list[bytes] = []
        room = MOST_BYTES - len(adapter)
        for data in packed:
            room -= len(data)
            if room < 0:
                break
            self.files.append(data)
        if not self.files:
            raise InputError(f"The prototypes of '{name}' are larger than what the model can be sent. Keep one of a smaller volume.")
        self.axis = "k"
        self.mapping: IntensityMapping | None = None
        self.found: ObjectProposed | None = None
        self.notFound: ObjectNotFound | None = None
        self._results: dict[int, SliceResult] = {}

    @classmethod
    def of(cls, name: str, library, adapter: bytes = b"") -> Search:
        """A search by all prototypes of an object.

        Args:
            name: of the object.
            library: a `PrototypeLibrary`.
            adapter: the bytes of what was learned of it; by default what the library has.

        Raises:
            InputError: if there is no prototype, or one is damaged.
        """
        kept = None if adapter else library.adapter(name)
        search = cls(name, library.prototypes(name), adapter if kept is None else kept.to_bytes())
        search.isOfLibrary = kept is not None
        return search

    def opened(self, volume: Volume, voxels: str, arrayFile: str = "") -> OpenedVolume:
        """A volume as the model is to see it, sliced and windowed as the prototypes are.

        Args:
            volume: the image.
            voxels: names its voxels.
            arrayFile: see `OpenedVolume`.
        """
        from SAM2AnnotateLib.prototypes import mapping_for

        return self.openedWith(volume, voxels, mapping_for(volume, self._prototypes), arrayFile)

    def again(self) -> Search:
        """The same search, on another volume."""
        other = copy.copy(self)
        other.found = other.notFound = None
        other._results = {}
        return other

    @property
    def plane(self) -> str:
        """The direction that the prototypes are sliced in."""
        return self._prototypes[0].plane

    @property
    def likeMapping(self) -> IntensityMapping:
        """The gray of the prototypes."""
        return self._prototypes[0].mapping

    def openedWith(self, volume: Volume, voxels: str, mapping: IntensityMapping, arrayFile: str = "") -> OpenedVolume:
        """As `opened`, with a gray that is known already."""
        stack = SliceStack.along(volume.grid, self._prototypes[0].plane)
        self.axis, self.mapping = stack.index_axis, mapping
        window = f"{self.mapping.lower}|{self.mapping.upper}"
        key = f"{voxels}|{self.axis}|{window}|{stack.flipped}{stack.array_axes}"
        return OpenedVolume(key, voxels, volume, self.axis, self.mapping, arrayFile)

    @property
    def receivers(self) -> dict:
        """What hears the model."""
        return {"onSlice": self._onSlice, "onReply": self._onReply}

    def _onSlice(self, result: SliceResult, _done: int, _total: int) -> None:
        """A slice was found."""
        self._results[result.position] = result

    def _onReply(self, message: Message) -> None:
        """The object was found, or was not."""
        if isinstance(message, ObjectProposed):
            self.found = message
        elif isinstance(message, ObjectNotFound):
            self.notFound = message

    def review(self, stack: SliceStack) -> tuple[ReviewSession, dict]:
        """What was found as a review with every slice proposed and none locked, and what else is kept of it.

        Args:
            stack: of the volume along `axis`.
        """
        assert self.found is not None and self.mapping is not None
        center, extent = self.found.center, Extent(*self.found.extent)
        mask = self._results[center].mask
        session = ReviewSession({center: SlicePrompt(box=Box2D.around(mask))}, extent, stack.frame_shape_rc)
        for position in extent.indices:
            if position in self._results:
                session.add_result(self._results[position])
        source = {"prototypes": list(self.found.prototypes), "seconds": round(self.found.seconds, 2)}
        doubts = {position: round(doubt, 4) for position, doubt in self.found.doubts.items()}
        about = {"center": center, "started": now(), "mapping": self.mapping.to_json(), "proposed_by": source, "doubts": doubts}
        return session, about

    @property
    def meanDoubt(self) -> float:
        """The mean doubt about the slices that were found; 0 if nothing was."""
        doubts = list(self.found.doubts.values()) if self.found is not None else []
        return sum(doubts) / len(doubts) if doubts else 0.0
