"""JournalKeeper: where the journal of a volume lies, writing it, finding those of earlier sessions. Imports the library's journal.

The journal lies in a folder of the user's settings, where it is found after a crash whatever is loaded then, and beside the scene as well
once the scene has a file. Its name holds a hash of the volume's identity, so that two volumes never share one. A journal that holds what
the scene lacks, or that another program wrote or is at, is never written over: then the work of this session gets the next name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from SAM2AnnotateLib.errors import OutputError, SAM2AnnotateError
from SAM2AnnotateLib.review.journal import JournaledObject, earlier_identity, read_journal, volume_identity, write_journal

from ..Scene.SceneBridge import ijkToLocal, volumeFromNode, voxelsStamp
from .AnnotatedSegment import AnnotatedSegment
from .InUse import InUse

SUFFIX = ".sam2annotate.json"

Holds = Callable[[JournaledObject], bool]
"""Whether the scene holds an object of a journal, as it is there or newer."""


class JournalKeeper:
    """Writes and finds journals.

    Args:
        settingsFolder: where journals always go.
    """

    def __init__(self, settingsFolder: str | Path):
        self._settingsFolder = Path(settingsFolder)
        self._identities: dict[str, tuple[tuple, dict, dict]] = {}
        self._closedUrl = ""
        self._own: dict[Path, tuple[Path, tuple | None]] = {}  # by first name: the one that this session writes to, as it left the file
        self._inUse = InUse(self._settingsFolder)
        self._told: set[Path] = set()

    @property
    def folder(self) -> Path:
        """Where journals always go."""
        return self._settingsFolder

    def pathFor(self, volumeNode) -> Path:
        """The journal of a volume in the settings' folder that this session writes to; the file need not exist."""
        first = self._settingsFolder / self._fileName(volumeNode)
        return self._own.get(first, (first, None))[0]

    def write(self, volumeNode, objects: Iterable[AnnotatedSegment], holds: Holds) -> None:
        """Write the state of all objects on a volume.

        Args:
            volumeNode: the volume.
            objects: those on it.
            holds: tells which journals have nothing to offer that the scene lacks, so that they may be replaced.

        Raises:
            OutputError: if it cannot be written; the last journal stands.
        """
        identity, content = self._identity(volumeNode), _content(objects)
        settings, *beside = self._folders(volumeNode)
        self._writeOne(settings, volumeNode, identity, content, holds)
        for folder in beside:
            try:
                self._writeOne(folder, volumeNode, identity, content, holds)
            except OutputError as error:  # the one in the settings is there; a folder that is only read is common
                if folder not in self._told:
                    logging.warning("SAM2Annotate: no journal beside the scene: %s", error)
                    self._told.add(folder)

    def _writeOne(self, folder: Path, volumeNode, identity: dict, content: dict, holds: Holds) -> None:
        first = folder / self._fileName(volumeNode)
        path, left = self._own.get(first, (first, None))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if left is None or (path.exists() and _stamp(path) != left):  # not begun, or another program wrote it since
                path = self._freeName(first, volumeNode, holds)
        except OSError as exc:
            raise OutputError(f"The folder of journals '{folder}' cannot be written to: {exc.strerror}.") from exc
        write_journal(path, identity, content)
        self._own[first] = (path, _stamp(path))

    def _freeName(self, first: Path, volumeNode, holds: Holds) -> Path:
        """The first name of which no journal stands there that matters; from now on this program is at it."""
        for path in (first if n == 1 else _numbered(first, n) for n in count(1)):
            if self._inUse.begin(path):
                if not path.is_file() or not self.holdsMoreThan(path, volumeNode, holds):
                    return path
                self._inUse.end(path)
        raise AssertionError("there is always a next number")

    def candidates(self, volumeNode) -> list[Path]:
        """The journals of this volume on disk that no other program is at, the newest first."""
        names = [_nameOf(identity) for identity in self._known(volumeNode)[1:]]  # ours, and that of earlier versions
        found = [path for folder in self._folders(volumeNode) for name in names for path in _all(folder / name)]
        return sorted((path for path in found if not self._inUse.elsewhere(path)), key=_time, reverse=True)

    def recovered(self, path: str | Path, volumeNode) -> None:
        """What a journal held is in the scene now, and in the journal of this session: it has served."""
        if Path(path) != self.pathFor(volumeNode) and Path(path) not in [own for own, _stamp in self._own.values()]:
            self._remove(Path(path))

    def sceneClosed(self, scene) -> None:
        """The scene was closed: it keeps its address although the file is another's now; what was written is from before."""
        self._own.clear()
        self._inUse.endAll()
        self._closedUrl = scene.GetURL()

    def close(self) -> None:
        """This program is at no journal any more."""
        self._own.clear()
        self._inUse.endAll()

    def sceneLoaded(self) -> None:
        """A scene was loaded: its address counts again."""
        self._closedUrl = ""

    def read(self, path: str | Path, volumeNode) -> dict[str, JournaledObject]:
        """The objects of a journal, by the id of their segment.

        Raises:
            InputError: if it is damaged.
            GridMismatchError: if it belongs to another volume.
        """
        _, identity, earlier = self._known(volumeNode)
        return read_journal(path, identity, earlier)

    def discard(self, volumeNode) -> None:
        """Remove the journals of a volume; the person has no use for them any more."""
        for path in self.candidates(volumeNode):
            self._remove(path)

    def removeHeld(self, volumeNode, holds: Holds) -> None:
        """Remove the journals of a volume that hold nothing beyond what is saved elsewhere, as `holds` says."""
        for path in self.candidates(volumeNode):
            if not self.holdsMoreThan(path, volumeNode, holds):
                self._remove(path)

    def holdsMoreThan(self, path: str | Path, volumeNode, holds: Holds) -> bool:
        """Whether a journal has something to offer that the scene lacks. A foreign or damaged one has not."""
        try:
            stored = self.read(path, volumeNode)
        except SAM2AnnotateError:
            return False
        return not all(holds(one) for one in stored.values())

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._inUse.end(path)
        self._own = {first: own for first, own in self._own.items() if own[0] != path}

    def _folders(self, volumeNode) -> list[Path]:
        url = volumeNode.GetScene().GetURL()
        beside = [Path(url).parent] if url and url != self._closedUrl and Path(url).parent.is_dir() else []
        return [self._settingsFolder, *beside]

    def _fileName(self, volumeNode) -> str:
        return _nameOf(self._identity(volumeNode))

    def _identity(self, volumeNode) -> dict:
        return self._known(volumeNode)[1]

    def _known(self, volumeNode) -> tuple[tuple, dict, dict]:
        """Stamp and identities, ours and that of earlier versions. Hashing takes a while: it is done again if voxels or matrix changed."""
        stamp = (voxelsStamp(volumeNode), ijkToLocal(volumeNode).tobytes())
        known = self._identities.get(volumeNode.GetID())
        if known is None or known[0] != stamp:
            volume = volumeFromNode(volumeNode)
            known = (stamp, volume_identity(volume), earlier_identity(volume))
            self._identities[volumeNode.GetID()] = known
        return known


def _nameOf(identity: dict) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16] + SUFFIX


def _content(objects: Iterable[AnnotatedSegment]) -> dict[str, JournaledObject]:
    """What is written, by the id of the segment; two segmentations may use one id."""
    content: dict[str, JournaledObject] = {}
    for one in objects:
        key = one.segmentId if one.segmentId not in content else f"{one.segmentationNode.GetID()}/{one.segmentId}"
        content[key] = one.journaled()
    return content


def _numbered(first: Path, number: int) -> Path:
    return first.with_name(f"{first.name.removesuffix(SUFFIX)}-{number}{SUFFIX}")


def _all(first: Path) -> list[Path]:
    """The journals of one volume in a folder, whatever their number."""
    name = re.compile(re.escape(first.name.removesuffix(SUFFIX)) + r"(-\d+)?" + re.escape(SUFFIX))
    try:
        return [path for path in first.parent.iterdir() if name.fullmatch(path.name) and path.is_file()]
    except OSError:  # a folder that is not there, or that may not be looked into, has none
        return []


def _stamp(path: Path) -> tuple[int, int, int]:
    """Tells whether a file was written since."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it went meanwhile
        return 0
