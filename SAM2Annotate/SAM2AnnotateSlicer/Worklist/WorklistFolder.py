"""WorklistFolder: the volumes of a folder and how far each is, from the files alone. Imports the library; no Slicer.

What is known stands where it is made: a review in the segmentation beside its volume, ``CASE.seg.nrrd``. The list's own file,
``sam2annotate_worklist.json``, adds what no segmentation tells: which case was begun, and which review was exported, and where to. Neither
can contradict the other after a crash, because a state is always worked out from both.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

from SAM2AnnotateLib.atomic_files import write_text_atomically
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.review.stored_object import TAG, unpack_object
from SAM2AnnotateLib.volume_io import VOLUME_SUFFIXES, is_dicom_folder

LIST_FILE = "sam2annotate_worklist.json"
SEGMENTATION_SUFFIX = ".seg.nrrd"
_LOCKED = (SliceStatus.ACCEPTED, SliceStatus.CORRECTED)
_FORMAT = 1


class CaseState(Enum):
    """How far a case is."""

    NOT_STARTED = "not started"
    IN_WORK = "in work"
    REVIEWED = "reviewed"  # every slice of every object is accepted or corrected
    EXPORTED = "exported"  # and has not been changed since


@dataclass(frozen=True)
class WorklistCase:
    """One volume.

    Args:
        name: as it is listed; names its segmentation.
        path: the file, or the folder with a DICOM series.
    """

    name: str
    path: Path

    @property
    def segmentation(self) -> Path:
        """Its segmentation's file, beside it; it need not exist."""
        return self.path.with_name(self.name + SEGMENTATION_SUFFIX)


class WorklistFolder:
    """A folder of volumes.

    Args:
        path: the folder.

    Attributes:
        unreadable: names of folders in it that may not be looked into, so that no case was looked for there.

    Raises:
        InputError: if there is no such folder, it cannot be read, or its list is damaged.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"There is no folder '{path}'. Choose the folder that the volumes lie in.")
        self._entries: dict[str, dict] = self._read()
        self.unreadable: list[str] = []
        self._cases = self._look()

    def cases(self) -> list[WorklistCase]:
        """The volumes by name, as they were when the folder was opened."""
        return list(self._cases)

    def find(self, name: str) -> WorklistCase:
        """The case of that name. Raises InputError if there is none."""
        case = next((case for case in self.cases() if case.name == name), None)
        if case is None:
            raise InputError(f"There is no volume '{name}' in '{self.path}'.")
        return case

    def state(self, case: WorklistCase) -> CaseState:
        """How far a case is.

        Raises:
            InputError: if its segmentation cannot be read.
        """
        entry = self._entries.get(case.name, {})
        if not case.segmentation.is_file():
            return CaseState.IN_WORK if entry else CaseState.NOT_STARTED
        stored = case.segmentation.stat()
        digest, isReviewed = _summaryOf(case.segmentation, stored.st_mtime_ns, stored.st_size)
        if entry.get("exported", {}).get("review") == digest:
            return CaseState.EXPORTED
        return CaseState.REVIEWED if isReviewed else CaseState.IN_WORK

    def next(self, after: str | None) -> WorklistCase | None:
        """The next case that is neither reviewed nor exported, beginning behind a case; None if there is none."""
        cases = self.cases()
        names = [case.name for case in cases]
        at = names.index(after) + 1 if after in names else 0
        waiting = (CaseState.NOT_STARTED, CaseState.IN_WORK)
        return next((case for case in cases[at:] + cases[:at] if case.name != after and self.state(case) in waiting), None)

    def noteBegun(self, case: WorklistCase) -> None:
        """A person opened the case. Raises OutputError if that cannot be written; nothing has changed then."""
        if case.name not in self._entries:
            self._write({**self._entries, case.name: {"begun": True}})

    def noteExported(self, case: WorklistCase, dataSet: str, sessions: Iterable[ReviewSession]) -> None:
        """The case with these reviews was written to a data set. Raises OutputError as `noteBegun`."""
        entry = {**self._entries.get(case.name, {}), "exported": {"data_set": dataSet, "review": digestOf(sessions)}}
        self._write({**self._entries, case.name: entry})

    def _look(self) -> list[WorklistCase]:
        try:
            paths = sorted(self.path.iterdir())
        except OSError as exc:
            raise InputError(f"The folder '{self.path}' cannot be read: {exc.strerror}. Choose another one.") from exc
        found = []
        for path in paths:
            try:
                stem = _stemOf(path)
            except OSError:  # such as lost+found at the top of a disk: told, and no reason to refuse all others
                self.unreadable.append(path.name)
                continue
            if stem:
                found.append((path, stem))
        stems = Counter(stem.casefold() for _path, stem in found)
        return [WorklistCase(stem if stems[stem.casefold()] == 1 else path.name, path) for path, stem in found]

    def _read(self) -> dict[str, dict]:
        path = self.path / LIST_FILE
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT:
                raise ValueError(f"format {content['format']}")
            return {str(name): dict(entry) for name, entry in content["cases"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise InputError(
                f"The worklist '{path}' is damaged ({exc}). Remove that file: only which cases were exported is forgotten then."
            ) from exc

    def _write(self, entries: dict[str, dict]) -> None:
        write_text_atomically(self.path / LIST_FILE, json.dumps({"format": _FORMAT, "cases": entries}, indent=1) + "\n")
        self._entries = entries


def storedSessions(path: Path) -> list[ReviewSession]:
    """The reviews that a ``.seg.nrrd`` keeps in its header; no voxel is read.

    Raises:
        InputError: if the file cannot be read, or a review is damaged.
    """
    sessions = []
    try:
        with open(path, "rb") as stream:
            while line := stream.readline().strip():
                key, _, value = line.partition(b":=")
                if key.startswith(b"Segment") and key.endswith(b"_Tags"):
                    for tag in value.decode("utf-8", "replace").split("|"):
                        if tag.startswith(f"{TAG}:"):
                            sessions.append(unpack_object(tag.removeprefix(f"{TAG}:"), path.name).session)
    except OSError as exc:
        raise InputError(f"The segmentation '{path}' cannot be read: {exc.strerror}.") from exc
    return sessions


@lru_cache(maxsize=4096)
def _summaryOf(path: Path, _modified: int, _size: int) -> tuple[str, bool]:
    """Digest of a segmentation's reviews, and whether there are any and all are finished; read once as long as the file is the same."""
    sessions = storedSessions(path)
    statuses = [session.status(position) for session in sessions for position in session.extent.indices]
    return digestOf(sessions), bool(sessions) and all(status in _LOCKED for status in statuses)


def digestOf(sessions: Iterable[ReviewSession]) -> str:
    """The same for the same reviews, in any order."""
    texts = sorted(json.dumps(session.to_json(), sort_keys=True) for session in sessions)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _stemOf(path: Path) -> str:
    """Name of the case that a file or folder is; empty if it is none."""
    name, lower = path.name, path.name.lower()
    if name.startswith(".") or lower.endswith(SEGMENTATION_SUFFIX):
        return ""
    if path.is_dir():
        return name if is_dicom_folder(path) else ""
    suffix = next((suffix for suffix in sorted(VOLUME_SUFFIXES, key=len, reverse=True) if lower.endswith(suffix)), "")
    return name[: -len(suffix)] if suffix else ""
