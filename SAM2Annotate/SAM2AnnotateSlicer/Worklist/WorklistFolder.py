"""WorklistFolder: the volumes of a folder and how far each is, from the files alone. Imports the library; no Slicer.

What is known stands where it is made: a review in the segmentation beside its volume, ``CASE.seg.nrrd``. The list's own file,
``sam2annotate_worklist.json``, adds what no segmentation tells: which case was begun, and which review was exported, and where to. Neither
can contradict the other after a crash, because a state is always worked out from both.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from stat import S_ISREG

from SAM2AnnotateLib.atomic_files import sole_writer, write_text_atomically
from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.json_input import Fields, read_json
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.stored_object import TAG, unpack_object
from SAM2AnnotateLib.volume_io import VOLUME_SUFFIXES, is_dicom_folder

LIST_FILE = "sam2annotate_worklist.json"
SEGMENTATION_SUFFIX = ".seg.nrrd"
_LOCKED = (SliceStatus.ACCEPTED, SliceStatus.CORRECTED)
_FORMAT = 1
_LONGEST_LINE = 1 << 28  # a review kept in a tag may be some MB; what is longer is no header
_WAITS_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_MOST_SUMMARIES = 1_000_000  # of some hundred bytes each; a bound below the number of files would make every look read all of them
_summaries: dict[Path, tuple[tuple[int, int], tuple[str, bool]]] = {}


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
        self._byName = {case.name: case for case in self._cases}

    def cases(self) -> list[WorklistCase]:
        """The volumes by name, as they were when the folder was opened."""
        return list(self._cases)

    def find(self, name: str) -> WorklistCase:
        """The case of that name. Raises InputError if there is none."""
        case = self._byName.get(name)
        if case is None:
            raise InputError(f"There is no volume '{name}' in '{self.path}'.")
        return case

    def state(self, case: WorklistCase) -> CaseState:
        """How far a case is.

        Raises:
            InputError: if its segmentation cannot be read.
        """
        entry = self._entries.get(case.name, {})
        try:
            stored = case.segmentation.stat()
        except OSError:
            stored = None
        if stored is None or not S_ISREG(stored.st_mode):
            return CaseState.IN_WORK if entry else CaseState.NOT_STARTED
        digest, isReviewed = _summaryOf(case.segmentation, (stored.st_mtime_ns, stored.st_size))
        if entry.get("exported", {}).get("review") == digest:
            return CaseState.EXPORTED
        return CaseState.REVIEWED if isReviewed else CaseState.IN_WORK

    def next(self, after: str | None) -> WorklistCase | None:
        """The next case that is neither reviewed nor exported, beginning behind a case; None if there is none."""
        return next(self.waiting(after), None)

    def waiting(self, after: str | None) -> Iterator[WorklistCase]:
        """The cases that are neither reviewed nor exported, beginning behind a case, which is none of them."""
        cases = self.cases()
        names = [case.name for case in cases]
        at = names.index(after) + 1 if after in names else 0
        states = (CaseState.NOT_STARTED, CaseState.IN_WORK)
        return (case for case in cases[at:] + cases[:at] if case.name != after and self.state(case) in states)

    def noteBegun(self, case: WorklistCase) -> None:
        """A person opened the case. Raises OutputError if that cannot be written; nothing has changed then."""
        if case.name not in self._entries:
            self._note(case, {"begun": True})

    def noteExported(self, case: WorklistCase, dataSet: str, sessions: Iterable[ReviewSession]) -> None:
        """The case with these reviews was written to a data set. Raises OutputError as `noteBegun`."""
        self._note(case, {"exported": {"data_set": dataSet, "review": digestOf(sessions)}})

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
            fields = Fields(read_json(path, "the worklist"), f"the worklist '{path}'")
            fields.whole("format", _FORMAT, _FORMAT)
            entries = {}
            for name, entry in fields.object("cases").values.items():
                one = Fields(entry, f"the case '{name[:80]}'")
                exported = one.object("exported", {})
                if exported.values:
                    exported.text("data_set"), exported.text("review")
                entries[name] = one.values
            return entries
        except InputError as exc:
            raise InputError(
                f"The worklist '{path}' is damaged. {exc} Remove that file: only which cases were exported is forgotten then."
            ) from exc

    def _note(self, case: WorklistCase, known: dict) -> None:
        """Add to what is known of a case, beside what other programs noted of others since."""
        path = self.path / LIST_FILE
        with _turnAt(path):
            try:
                entries = self._read()
            except InputError as exc:
                raise OutputError(str(exc)) from exc
            entries[case.name] = {**entries.get(case.name, {}), **known}
            write_text_atomically(path, json.dumps({"format": _FORMAT, "cases": entries}, indent=1) + "\n")
        self._entries = entries


@contextmanager
def _turnAt(path: Path) -> Iterator[None]:
    """Be the only one who reads and writes a list, after waiting for others, who take milliseconds.

    Where a network drive gives no locks, it goes on without: two notes in the same milliseconds could then lose one.
    """
    with ExitStack() as stack:
        for wait in (*_WAITS_SECONDS, None):
            try:
                stack.enter_context(sole_writer(path))
                break
            except InputError as exc:
                if wait is None:
                    raise OutputError(str(exc)) from exc
                time.sleep(wait)
            except OutputError:
                break
        yield


def storedSessions(path: Path) -> list[ReviewSession]:
    """The reviews that a ``.seg.nrrd`` keeps in its header; no voxel is read. Raises as `storedObjects`."""
    return [one.session for one in storedObjects(path)]


def storedObjects(path: Path) -> list[JournaledObject]:
    """The objects that a ``.seg.nrrd`` keeps in its header; no voxel is read.

    Raises:
        InputError: if the file cannot be read, or a review is damaged.
    """
    found = []
    try:
        with open(path, "rb") as stream:
            while line := stream.readline(_LONGEST_LINE).strip():
                key, _, value = line.partition(b":=")
                if key.startswith(b"Segment") and key.endswith(b"_Tags"):
                    for tag in value.decode("utf-8", "replace").split("|"):
                        if tag.startswith(f"{TAG}:"):
                            found.append(unpack_object(tag.removeprefix(f"{TAG}:"), path.name))
    except OSError as exc:
        raise InputError(f"The segmentation '{path}' cannot be read: {exc.strerror}.") from exc
    return found


def _summaryOf(path: Path, stamp: tuple[int, int]) -> tuple[str, bool]:
    """Digest of a segmentation's reviews, and whether there are any and all are finished; read once as long as the file is the same.

    Args:
        path: the segmentation.
        stamp: its time of change and size.
    """
    known = _summaries.get(path)
    if known is None or known[0] != stamp:
        sessions = storedSessions(path)
        statuses = [session.status(position) for session in sessions for position in session.extent.indices]
        known = (stamp, (digestOf(sessions), bool(sessions) and all(status in _LOCKED for status in statuses)))
        while len(_summaries) >= _MOST_SUMMARIES:
            del _summaries[next(iter(_summaries))]
        _summaries[path] = known
    return known[1]


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
