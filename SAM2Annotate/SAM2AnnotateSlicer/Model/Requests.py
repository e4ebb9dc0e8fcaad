"""Requests: what is asked of the model, as plain values. Imports LearnedModels, ServerSettings and the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import Progress
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.worker.messages import Message

from .LearnedModels import LearnedModel
from .ModelNames import isOnServer, nameOf
from .ServerSettings import Server, readServer


@dataclass(frozen=True)
class ModelChoice:
    """Which model to load; the arguments of `load_engine`, and who runs it.

    Args:
        server: None if this computer does; else `checkpoint` begins with ``server:``.
    """

    checkpoint: str = "bundled"
    device: str = "auto"
    precision: str = "auto"
    server: Server | None = None

    @classmethod
    def of(cls, model: str, device: str = "auto") -> ModelChoice:
        """The choice that a parameter node or script makes by name; a server's model is that of the user's server as it is known now."""
        if isOnServer(model):
            return cls(model, server=readServer() or Server("", ""))  # its device is the server's business
        return cls(model, device)

    @property
    def name(self) -> str:
        """The model's name where it runs."""
        return nameOf(self.checkpoint)


@dataclass(frozen=True)
class OpenedVolume:
    """A volume as the worker is to see it.

    Args:
        key: names volume, axis and gray window together.
        fileKey: names the voxels, which are laid down once for all axes and windows.
        arrayFile: a file of its voxels that lies there already; then nothing is laid down, and `fileKey` is not used.
    """

    key: str
    fileKey: str
    volume: Volume = field(compare=False)
    axis: str = "k"
    mapping: IntensityMapping | None = field(default=None, compare=False)
    arrayFile: str = ""


@dataclass(eq=False)
class Request:
    """One piece of work; `onSlice` is called for every slice, then exactly one of `onDone` and `onFailed`.

    With a `choice` it is answered by that model, otherwise by the one of `ModelService.use`; with `learned`, by what was learned of an
    object. `onProgress` is told how far it is, `onReply` hears replies that are neither slices nor progress; `beside` are further volumes
    that it needs. What a script or the background asked for is left alone by `cancelAll`.
    """

    kind: str
    opened: OpenedVolume | None
    ask: Callable[[], int]
    onSlice: Callable[[SliceResult, int, int], None] = lambda *_: None
    onDone: Callable[[], None] = lambda: None
    onFailed: Callable[[SAM2AnnotateError], None] = lambda _: None
    choice: ModelChoice | None = None
    ofScript: bool = False
    learned: LearnedModel | None = None
    beside: tuple[OpenedVolume, ...] = ()
    onProgress: Callable[[Progress], None] = lambda _: None
    onReply: Callable[[Message], None] = lambda _: None
    ofBackground: bool = False
    number: int = 0
    cancelled: bool = False
    givesWay: bool = False

    @property
    def wait(self) -> int:
        """How long it may wait: 0 not at all, 1 while a person asks for something, 2 also while ends are looked for."""
        return 0 if not self.ofBackground else 1 if self.kind == "extent" else 2

    @property
    def volumes(self) -> tuple[OpenedVolume, ...]:
        """All that must be open for it."""
        return (*([self.opened] if self.opened is not None else []), *self.beside)
