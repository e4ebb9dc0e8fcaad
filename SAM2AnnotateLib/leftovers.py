"""Files and folders that a killed program leaves: named after it, so that the next start can tell and remove them. Imports errors.

A name holds computer and process: ``1a2b3c-4d2-9f3e``. What belongs to a process of this computer that has ended is removed when the same
folder is used next; what belongs to another computer, on a shared drive, when it is a day old.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_COMPUTER = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_OWNED = re.compile(r"(?:^\.|^sam2annotate-[a-z-]*|^\.partial_)([0-9a-f]{6})-([0-9a-f]{1,8})-[0-9a-f]{4}(?:[._]|$)")
_OLD_SECONDS = 86_400
_swept: set[tuple[str, int]] = set()


def owned_token() -> str:
    """A name that is this process's own, without a dot."""
    return f"{_COMPUTER}-{os.getpid():x}-{secrets.token_hex(2)}"


def temporary_folder(purpose: str = "", parent: str | Path | None = None) -> tempfile.TemporaryDirectory:
    """A folder for what may be a patient's, readable for its owner alone, removed by `cleanup` or when this process ends.

    Those of killed processes are removed first.

    Args:
        purpose: a word for its name.
        parent: the folder that it is made in; by default the system's temporary folder.
    """
    remove_leftovers(parent if parent is not None else tempfile.gettempdir())
    prefix = f"sam2annotate-{purpose}{'-' if purpose else ''}{owned_token()}_"
    return tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed processes left in a folder; looked for once by a process, because a folder may be large."""
    key = (str(Path(folder).absolute()), os.getpid())
    if key in _swept:
        return
    _swept.add(key)
    with suppress(OSError):  # a folder that cannot be looked into has nothing that could be removed
        for entry in os.scandir(folder):
            owner = _OWNED.match(entry.name)
            if owner is None or entry.is_symlink() or not _is_left(owner[1], int(owner[2], 16), entry):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    Path(entry.path).unlink()


def _is_left(computer: str, process: int, entry: os.DirEntry) -> bool:
    status = entry.stat(follow_symlinks=False)
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    if time.time() - status.st_mtime > _OLD_SECONDS and computer != _COMPUTER:
        return True
    return computer == _COMPUTER and not _is_running(process)


def _is_running(process: int) -> bool:
    if process == os.getpid():
        return True
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, process)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return ctypes.windll.kernel32.GetLastError() == 5  # access denied: it is there
        code = ctypes.c_ulong()
        known = ctypes.windll.kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        ctypes.windll.kernel32.CloseHandle(handle)
        return not known or code.value == 259  # STILL_ACTIVE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
