"""``sam2annotate crowd demo``: a small project with the sample case, and its page in the browser. Imports the library inside functions."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, OutputError
from .demo_project import let_colleagues_answer, make_demo_project
from .options import add_command

if TYPE_CHECKING:
    from ...crowd.records import Role

_HOST = "127.0.0.1"
_ROLES: tuple[Role, ...] = ("owner", "reviewer", "annotator")
_EXAMPLES = """\
it listens on this machine alone, and needs no PyTorch. The people who have answered already are simulated.

examples:
  sam2annotate crowd demo
  sam2annotate crowd demo --folder my-demo      keeps the project; look at it with: sam2annotate crowd status my-demo
"""


def add_parser(commands) -> None:
    """Register the command."""
    parser = add_command(commands, "demo", "try the page on the sample case", _EXAMPLES)
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="a new folder for the project, which is kept (default: a temporary one, removed at the end)",
    )
    add("--port", type=int, default=0, help="port to listen at (default: a free one)")
    add("--no-browser", action="store_true", help="do not open the page in a browser")


def run(options: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from ...crowd.records import DATABASE_FILE, CrowdRecords
    from ...crowd.web.run import serve
    from ...server.address import Address

    with _folder(options.folder) as folder:
        print("Preparing the sample case...", flush=True)
        project = make_demo_project(folder)
        with CrowdRecords.open(folder / DATABASE_FILE) as records:
            records.add_project(project)
            let_colleagues_answer(records, project)
            password = secrets.token_urlsafe(9)
            for role in _ROLES:
                records.add_member(project.key, role, role, password)
            address = Address(_HOST, options.port or _free_port())
            page = f"http://{_HOST}:{address.port}/"
            print(f"Project: {folder}" + ("" if options.folder else " (removed at the end)"))
            print(f"Sign in at {page} as {', '.join(_ROLES[:-1])} or {_ROLES[-1]}, password {password}", flush=True)

            def listening(line: str) -> None:
                print(line, flush=True)
                if not options.no_browser and _has_screen():
                    webbrowser.open(page)

            serve(records, [project], address, listening)
    return 0


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """Where the project lies: a new folder that stays, or one for the time being."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="sam2annotate-crowd-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise InputError(f"'{wanted}' is there already.", "Choose a new folder, or look at what is in it with: sam2annotate crowd serve")
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make the folder '{wanted}': {exc.strerror or exc}.", "Choose another one.") from exc
    yield wanted


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as free:
        return free.getsockname()[1]


def _has_screen() -> bool:
    """Whether a browser would open in a window. In a terminal without one, it would open in the terminal, over what was printed."""
    if sys.platform.startswith(("win", "darwin")):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
