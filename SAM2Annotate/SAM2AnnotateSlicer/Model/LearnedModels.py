"""LearnedModels: what was learned of objects, adapters of the model, as files of the user's settings. Imports the library; no torch.

A file is named after the SHA-256 of its bytes, which is all that a scene, a journal or a report keeps of it besides the object's name: what
is drawn with it can be traced, and a scene that goes to somebody else takes nothing along that was learned from other patients. Files are
written whole or not at all, are never changed, and stay until the person removes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from SAM2AnnotateLib.atomic_files import replaced_atomically
from SAM2AnnotateLib.engine.adapter import Adapter, AdapterCard
from SAM2AnnotateLib.errors import CheckpointError, InputError, OutputError
from SAM2AnnotateLib.json_input import parse_json

SUFFIX = ".safetensors"
_ADVICE = "Press 'Forget' to go on with the model as it came, or put the file back."
_MOST_LISTED = 40
_LONGEST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class LearnedModel:
    """One adapter.

    Args:
        sha256: of its file's bytes.
        name: of the object, for the user.
        detail: how much it was learned from, for the user.
        baseSha256: of the weights of the model that it belongs to.
        path: its file.
        inPasses: whether open slices are proposed anew with it.
        volumes: that it was learned from.
    """

    sha256: str
    name: str
    detail: str
    baseSha256: str
    path: Path = field(compare=False)
    inPasses: bool = True
    volumes: int = 1

    def toJson(self) -> dict:
        """What an object keeps of it."""
        kept = {"sha256": self.sha256, "name": self.name, **({} if self.inPasses else {"inPasses": False})}
        return {**kept, **({"volumes": self.volumes} if self.volumes > 1 else {})}

    def data(self) -> bytes:
        """The file's bytes. Raises InputError if it is gone, or was changed."""
        try:
            data = self.path.read_bytes()
        except OSError as exc:
            raise InputError(f"What was learned of '{self.name}' cannot be read from '{self.path}': {exc.strerror}. {_ADVICE}") from exc
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError(f"'{self.path}' was changed since '{self.name}' was learned, so it is not used. {_ADVICE}")
        return data

    @property
    def text(self) -> str:
        """How it is called in lists."""
        return f"{self.name} ({self.detail})"


class LearnedModels:
    """The files of a folder.

    Args:
        folder: need not exist before the first one is kept.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._known: dict[str, LearnedModel] = {}

    def keep(self, data: bytes) -> LearnedModel:
        """Keep an adapter.

        Args:
            data: its file's bytes, as `Adapter` reads them.

        Raises:
            CheckpointError: if they are no adapter.
            OutputError: if the file cannot be written.
        """
        path = self._pathOf(hashlib.sha256(data).hexdigest())
        learned = _read(data, path)
        if not _holds(path, learned.sha256):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise OutputError(f"The folder of what was learned '{self.folder}' cannot be made: {exc.strerror}.") from exc
            with replaced_atomically(path) as partial:
                partial.write_bytes(data)
        self._known[learned.sha256] = learned
        return learned

    def find(self, stored: dict | None) -> LearnedModel | None:
        """What an object uses, as `LearnedModel.toJson` told it; None for nothing.

        Raises:
            InputError: if its file is not here, or is another one by now.
        """
        if not stored:
            return None
        sha256 = str(stored.get("sha256", ""))
        if sha256 in self._known:
            return self._known[sha256]
        name, path = stored.get("name", ""), self._pathOf(sha256)
        if not sha256.isalnum() or not path.is_file():
            raise InputError(f"What was learned of '{name}' is not on this computer (it would lie in '{path}'). {_ADVICE}")
        try:
            learned = _read(path.read_bytes(), path)
        except OSError as exc:
            raise InputError(f"What was learned of '{name}' cannot be read: {exc.strerror}. {_ADVICE}") from exc
        except CheckpointError as exc:
            raise InputError(f"What was learned of '{name}' cannot be used: {exc.problem} {_ADVICE}") from exc
        if learned.sha256 != sha256:
            raise InputError(f"'{path}' was changed since '{name}' was learned, so it is not used. {_ADVICE}")
        self._known[sha256] = learned
        return learned

    def all(self) -> list[LearnedModel]:
        """The newest adapters of the folder, the newest first. Their cards alone are read: they are checked whole when one is used."""
        try:
            paths = sorted(self.folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        except OSError:  # the folder is not there, or a file went meanwhile
            return []
        found = []
        for path in paths[:_MOST_LISTED]:
            try:
                found.append(_asCalled(_cardOf(path), path.stem, path))
            except InputError:  # not one of ours; whoever asks for it is told why
                continue
        return found

    def _pathOf(self, sha256: str) -> Path:
        return self.folder / f"{sha256}{SUFFIX}"


def _holds(path: Path, sha256: str) -> bool:
    """Whether a file is there and whole."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _read(data: bytes, path: Path) -> LearnedModel:
    return _asCalled(Adapter.from_bytes(data).card, hashlib.sha256(data).hexdigest(), path)


def _asCalled(card: AdapterCard, sha256: str, path: Path) -> LearnedModel:
    slices, volumes = card.slice_count, card.volume_count
    detail = f"{slices} slices" + (f" of {volumes} volumes" if volumes > 1 else "")
    return LearnedModel(sha256, card.object_name or "Object", f"{detail}, {card.created}", card.base_sha256, path, card.in_passes, volumes)


def _cardOf(path: Path) -> AdapterCard:
    """The card of an adapter's file, from its header; the tensors are not read. Raises InputError."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = stream.read(length) if length <= _LONGEST_HEADER_BYTES else b""
        return AdapterCard.from_json(parse_json(parse_json(header, "its header")["__metadata__"]["card"], "its card"))
    except (OSError, LookupError, TypeError) as exc:
        raise InputError(f"'{path}' is no adapter: {exc!r}.") from exc
