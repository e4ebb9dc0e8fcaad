"""The client's side of the protocol, without process, thread or clock: GUI, console and test drive it alike. Imports messages."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import OutputError, WorkerError
from ..geometry import Box2D, Extent, Volume
from ..intensity import IntensityMapping
from ..leftovers import temporary_folder
from ..progress import Progress
from ..prompts import SlicePrompt
from ..prompts.mask_runs import mask_to_runs
from ..propagation import RegionPolicy
from ..review.session import DueWork
from .messages import (
    Cancel,
    CloseVolume,
    Learn,
    LoadModel,
    Message,
    OpenVolume,
    PredictSlice,
    Prefetch,
    Propagate,
    ProposeExtent,
    ProposeObject,
    ProposeSlices,
    Shutdown,
    UseAdapter,
    box_to_list,
    from_line,
    pack,
    to_line,
)

_BLOCK_BYTES = 8 << 20  # a few ms of writing


class WorkerClient:
    """Numbers requests, keeps shared files, cuts what comes into messages.

    Args:
        send: writes bytes to the worker's standard input.
        folder: where volumes are laid down for the worker to map; a folder of its own is made in it, by default in the system's
            temporary folder. `close` removes it.
    """

    def __init__(self, send: Callable[[bytes], None], folder: str | Path | None = None):
        self._send = send
        self._numbers = itertools.count(1)
        self._parts: list[bytes] = []  # of a line that is not whole yet
        self._folder = temporary_folder("volumes", folder)
        self._files: dict[str, Path] = {}
        self._file_numbers = itertools.count()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes from the worker's standard output; returns the messages that are complete.

        Raises:
            WorkerError: if the worker says something that is no message, or speaks another version.
        """
        return [from_line(line) for line in self.cut(data)]

    def cut(self, data: bytes) -> list[bytes]:
        """Take bytes from the worker's standard output; returns the lines that are complete, to be read with `from_line` when it suits."""
        first, *others = data.split(b"\n")
        self._parts.append(first)
        if not others:
            return []  # a long line is joined once, when it is whole
        lines = [b"".join(self._parts), *others[:-1]]
        self._parts = [others[-1]]
        return [line for line in lines if line.strip()]

    def forget_process(self) -> None:
        """Speak to a new process from now on: the last one's unfinished message is dropped, laid down volumes stay."""
        self._parts = []

    def load_model(
        self,
        checkpoint: str,
        *,
        architecture: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        image_size: int | None = None,
        cache_mb: int = 2048,
    ) -> int:
        """Ask for a model; returns the request's number."""
        return self._ask(LoadModel, checkpoint, architecture, device, precision, image_size, cache_mb)

    def lay_down(self, file_key: str, volume: Volume) -> Iterator[Progress]:
        """Write a volume's voxels for the worker to map, some slices at a time so that a GUI can draw in between.

        Args:
            file_key: the caller's name for these voxels; the same key writes them once, however many axes and windows use them.

        Raises:
            OutputError: if the temporary folder cannot hold it; what was written of it is removed.
        """
        if file_key in self._files:
            return
        file = Path(self._folder.name) / f"{next(self._file_numbers)}.npy"
        array = volume.array_kji
        step = max(1, _BLOCK_BYTES * array.shape[0] // max(1, array.nbytes))
        whole = False
        try:
            mapped = np.lib.format.open_memmap(file, mode="w+", dtype=array.dtype, shape=array.shape)
            with file.open("rb+") as blocks:  # written, not mapped: a full disk then is an error here and no crash
                blocks.seek(mapped.offset)
                del mapped
                for start in range(0, array.shape[0], step):
                    blocks.write(np.ascontiguousarray(array[start : start + step]).data)
                    yield Progress(min(start + step, array.shape[0]), array.shape[0], "slices")
            whole = True
        except OSError as exc:
            raise OutputError(f"The volume cannot be handed to the model: '{file.parent}' cannot hold it ({exc.strerror}).") from exc
        finally:
            if whole:
                self._files[file_key] = file
            else:
                file.unlink(missing_ok=True)

    def forget_voxels(self, file_key: str) -> None:
        """Remove what `lay_down` wrote; close the volumes that use it first."""
        file = self._files.pop(file_key, None)
        if file is not None:
            with contextlib.suppress(PermissionError):  # Windows, while the worker still maps it: `close` removes it with the folder
                file.unlink(missing_ok=True)

    def open_volume(self, key: str, volume: Volume, axis: str, mapping: IntensityMapping, file_key: str | None = None) -> int:
        """Hand over a volume under a key of the caller's choice.

        Args:
            file_key: see `lay_down`, which is done now if it was not; by default `key`.

        Raises:
            OutputError: if the temporary folder cannot hold it.
        """
        file_key = key if file_key is None else file_key
        for _ in self.lay_down(file_key, volume):
            pass
        matrix = volume.grid.ijk_to_ras.tolist()
        return self._ask(OpenVolume, key, str(self._files[file_key]), matrix, axis, mapping.lower, mapping.upper)

    def open_file(self, key: str, array_file: str | Path, ijk_to_ras: np.ndarray, axis: str, mapping: IntensityMapping) -> int:
        """Hand over a volume whose (k, j, i) voxels lie in a ``.npy`` file already, which stays the caller's."""
        return self._ask(OpenVolume, key, str(array_file), np.asarray(ijk_to_ras).tolist(), axis, mapping.lower, mapping.upper)

    def close_volume(self, key: str) -> int:
        """Let the worker forget a volume."""
        return self._ask(CloseVolume, key)

    def predict_slice(self, key: str, position: int, prompt: SlicePrompt, policy: RegionPolicy, crop: Box2D | None = None) -> int:
        """Ask for a preview; arguments as `propagation.predict_slice`."""
        return self._ask(PredictSlice, key, position, prompt.to_json(), str(policy), None if crop is None else box_to_list(crop))

    def propagate(self, key: str, work: DueWork, policy: RegionPolicy) -> int:
        """Ask for the slices that are due."""
        return self._ask(Propagate, *self._due(key, work, policy))

    def propose_slices(self, key: str, work: DueWork, policy: RegionPolicy) -> int:
        """Ask for the slices that are due, as the adapter in use proposes them best."""
        return self._ask(ProposeSlices, *self._due(key, work, policy))

    @staticmethod
    def _due(key: str, work: DueWork, policy: RegionPolicy) -> tuple:
        prompts = {str(position): prompt.to_json() for position, prompt in work.prompts.items()}
        proposals = [result.to_json() for _, result in sorted(work.proposals.items())]
        extent = [work.extent.first, work.extent.last]
        lists = [sorted(positions) for positions in (work.locked, work.corrected, work.due)]
        return key, prompts, extent, str(policy), lists[0], lists[1], work.changed, lists[2], proposals

    def use_adapter(self, adapter: bytes | None) -> int:
        """Let the model answer with what was learned, the bytes of an adapter's file, from now on; None: as it came.

        Raises:
            WorkerError: if the file is too large to be sent.
        """
        return self._ask(UseAdapter, "" if adapter is None else pack([adapter])[0])

    def learn(
        self,
        lessons: Iterable[tuple[str, int, np.ndarray, Extent, bool]],
        policy: RegionPolicy,
        *,
        object_name: str = "",
        terminology: str = "",
        seconds: float | None = None,
        steps: int | None = None,
        seed: int = 0,
        start: bytes = b"",
    ) -> int:
        """Ask to learn an object.

        Args:
            lessons: (key of an open volume, position, mask of the slice, the object's extent in the volume, whether a person drew or
                corrected it); an empty mask teaches absence.
            seconds, steps: how long; one of them.
            start: the bytes of what was learned of the earlier volumes, those of the newest one come last in `lessons`; empty for nothing.

        Raises:
            WorkerError: if that is too large.
        """
        told = [
            {"volume": key, "position": position, "mask": mask_to_runs(mask), "extent": [extent.first, extent.last], "drawn": drawn}
            for key, position, mask, extent, drawn in lessons
        ]
        return self._ask(Learn, told, object_name, terminology, str(policy), seconds, steps, seed, pack([start])[0])

    def propose_object(self, key: str, prototypes: Sequence[bytes], adapter: bytes, policy: RegionPolicy) -> int:
        """Ask for an object in an open volume.

        Args:
            prototypes: that show it, each as `Prototype.to_bytes` has it.
            adapter: the bytes of what was learned of it; empty for nothing.

        Raises:
            WorkerError: if they are too large.
        """
        *shown, learned = pack([*prototypes, adapter])
        return self._ask(ProposeObject, key, shown, str(policy), learned)

    def propose_extent(self, key: str, position: int, prompt: SlicePrompt, policy: RegionPolicy) -> int:
        """Ask for first and last slice of what is prompted on one slice."""
        return self._ask(ProposeExtent, key, position, prompt.to_json(), str(policy))

    def prefetch(self, key: str, center: int, extent: Extent, crop: Box2D) -> int:
        """Let the worker encode slices while it has nothing else to do."""
        return self._ask(Prefetch, key, center, [extent.first, extent.last], box_to_list(crop))

    def cancel(self, request: int) -> None:
        """Ask to stop a request; it ends with `Failed`, kind ``Cancelled``."""
        self._ask(Cancel, request)

    def shut_down(self) -> None:
        """Ask the process to end."""
        self._ask(Shutdown)

    def close(self) -> None:
        """Remove the shared files."""
        self._folder.cleanup()

    def _ask(self, kind: type[Message], *arguments) -> int:
        request = next(self._numbers)
        try:
            self._send(to_line(kind(request, *arguments)))
        except OSError as exc:
            raise WorkerError("The model's process is gone. Start it again; finished slices are kept.") from exc
        return request
