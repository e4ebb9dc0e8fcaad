"""The page's files, read once when the server starts: what is not among them does not exist, whatever a path says. Imports errors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

PAGE_FOLDER = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    media_type: str
    tag: str


def page_files(folder: Path = PAGE_FOLDER) -> dict[str, PageFile]:
    """All files below a folder that a browser may ask for, by their path with ``/``."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = _TYPES.get(path.suffix.lower())
        if kind is not None and path.is_file():
            content = path.read_bytes()
            found[path.relative_to(folder).as_posix()] = PageFile(content, kind, f'"{hashlib.sha256(content).hexdigest()[:20]}"')
    return found
