"""JournalKeeper: where the journal of a volume lies, writing it, offering it after a crash. Imports the library's journal.

The journal lies in a folder of the user's settings, where it is found after a crash whatever is loaded then, and beside the scene as well
once the scene has a file. Its name holds a hash of the volume's identity, so that two volumes never share one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path

from SAM2AnnotateLib.errors import OutputError, SAM2AnnotateError
from SAM2AnnotateLib.review.journal import JournaledObject, read_journal, volume_identity, write_journal

from ..Scene.SceneBridge import ijkToLocal, volumeFromNode, voxelsStamp
from .AnnotatedSegment import AnnotatedSegment

SUFFIX = ".sam2annotate.json"
PREVIOUS = "previous-"


class JournalKeeper:
    """Writes and finds journals.

    Args:
        settingsFolder: where journals always go.
    """

    def __init__(self, settingsFolder: str | Path):
        self._settingsFolder = Path(settingsFolder)
        self._identities: dict[str, tuple[tuple, dict]] = {}
        self._closedUrl = ""
        self._written: set[Path] = set()
        self._told: set[Path] = set()

    def pathFor(self, volumeNode) -> Path:
        """The journal of a volume in the settings' folder; the file need not exist."""
        return self._settingsFolder / self._fileName(volumeNode)

    def write(self, volumeNode, objects: Iterable[AnnotatedSegment]) -> None:
        """Write the state of all objects on a volume.

        Raises:
            OutputError: if it cannot be written; the last journal stands.
        """
        objects = list(objects)
        identity, content = self._identity(volumeNode), {one.segmentId: one.journaled() for one in objects}
        settings, *beside = self._folders(volumeNode)
        self._writeOne(settings, volumeNode, identity, content, objects)
        for folder in beside:
            try:
                self._writeOne(folder, volumeNode, identity, content, objects)
            except OutputError as error:  # the one in the settings is there; a folder that is only read is common
                if folder not in self._told:
                    logging.warning("SAM2Annotate: no journal beside the scene: %s", error)
                    self._told.add(folder)

    def _writeOne(self, folder: Path, volumeNode, identity: dict, content: dict, objects: list[AnnotatedSegment]) -> None:
        path = folder / self._fileName(volumeNode)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if path not in self._written and path.is_file() and self.holdsMoreThan(path, volumeNode, objects):
                path.replace(_previous(path))  # from before a crash, and nobody has decided on it yet
        except OSError as exc:
            raise OutputError(f"The folder of journals '{folder}' cannot be written to: {exc.strerror}.") from exc
        write_journal(path, identity, content)
        self._written.add(path)

    def candidates(self, volumeNode) -> list[Path]:
        """The journals of this volume on disk, the newest first."""
        paths = [folder / self._fileName(volumeNode) for folder in self._folders(volumeNode)]
        found = [path for one in paths for path in (one, _previous(one)) if path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)

    def recovered(self, path: str | Path) -> None:
        """What a journal held is in the scene now: if it was put aside, it has served."""
        if Path(path).name.startswith(PREVIOUS):
            Path(path).unlink(missing_ok=True)
        else:
            self._written.add(Path(path))

    def sceneClosed(self, scene) -> None:
        """The scene was closed: it keeps its address although the file is another's now; what was written is from before."""
        self._written.clear()
        self._closedUrl = scene.GetURL()

    def sceneLoaded(self) -> None:
        """A scene was loaded: its address counts again."""
        self._closedUrl = ""

    def read(self, path: str | Path, volumeNode) -> dict[str, JournaledObject]:
        """The objects of a journal, by the id of their segment.

        Raises:
            InputError: if it is damaged.
            GridMismatchError: if it belongs to another volume.
        """
        return read_journal(path, self._identity(volumeNode))

    def discard(self, volumeNode) -> None:
        """Remove the journals of a volume; the person has no use for them any more."""
        for path in self.candidates(volumeNode):
            path.unlink(missing_ok=True)

    def holdsMoreThan(self, path: str | Path, volumeNode, objects: Iterable[AnnotatedSegment]) -> bool:
        """Whether a journal has something to offer that the scene lacks. A foreign or damaged one has not.

        Of a journal that was written since the scene was opened, only objects that were deleted: for the others the scene is ahead.
        """
        objects = list(objects)
        try:
            stored = self.read(path, volumeNode)
        except SAM2AnnotateError:
            return False
        if Path(path) in self._written:
            return bool(stored.keys() - {one.segmentId for one in objects})
        known = [one.session.to_json() for one in objects]
        return any(one.session.to_json() not in known for one in stored.values())

    def _folders(self, volumeNode) -> list[Path]:
        url = volumeNode.GetScene().GetURL()
        beside = [Path(url).parent] if url and url != self._closedUrl and Path(url).parent.is_dir() else []
        return [self._settingsFolder, *beside]

    def _fileName(self, volumeNode) -> str:
        digest = hashlib.sha256(json.dumps(self._identity(volumeNode), sort_keys=True).encode()).hexdigest()
        return digest[:16] + SUFFIX

    def _identity(self, volumeNode) -> dict:
        """Hashing voxels takes a while, so it is done once as long as neither voxels nor matrix change."""
        stamp = (voxelsStamp(volumeNode), ijkToLocal(volumeNode).tobytes())
        known = self._identities.get(volumeNode.GetID())
        if known is None or known[0] != stamp:
            known = (stamp, volume_identity(volumeFromNode(volumeNode)))
            self._identities[volumeNode.GetID()] = known
        return known[1]


def _previous(path: Path) -> Path:
    """Where a journal is put aside that the first decision of a new session would have replaced."""
    return path.with_name(PREVIOUS + path.name)
