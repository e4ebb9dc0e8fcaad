"""Downloads from a real server on 127.0.0.1 that can misbehave in the ways servers and networks do. Nothing else is contacted."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from SAM2AnnotateLib.engine.models import download
from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS, Checkpoint
from SAM2AnnotateLib.engine.models.download import download_checkpoint
from SAM2AnnotateLib.errors import Cancelled, CheckpointError, DownloadError, OutputError
from SAM2AnnotateLib.progress import CancelToken

MIB = 1 << 20
CONTENT = bytes(range(251)) * 12000  # 2.9 MiB: several blocks and several reports
OTHER = CONTENT[::-1]  # same length, other bytes
NAME = "weights.pt"


@dataclass
class Host:
    """What the server has and how it behaves; the tests change it between requests."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    last_modified: str | None = None
    drop_after: int | None = None  # bytes of a reply after which the connection is closed
    stall_after: int | None = None  # bytes of a reply after which nothing more comes
    ignore_range: bool = False
    ignore_if_range: bool = False
    wrong_start: bool = False  # replies to a range with one that starts elsewhere
    tell_length: bool = True
    status: int | None = None
    port: int = 0
    asked: list[str | None] = field(default_factory=list)  # Range header of each request for the file
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{NAME}"

    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    host: Host

    def do_GET(self):
        host = self.host
        if self.path == "/moved":
            return self._reply(302, {"Location": host.url})
        asked = self.headers.get("Range")
        host.asked.append(asked)
        if host.status is not None:
            return self._reply(host.status, {})
        headers = {}
        if host.etag:
            headers["ETag"] = host.etag
        if host.last_modified:
            headers["Last-Modified"] = host.last_modified
        size = len(host.content)
        same_version = host.ignore_if_range or self.headers.get("If-Range") in (None, host.etag, host.last_modified)
        if asked is None or host.ignore_range or not same_version:
            return self._reply(200, headers, host.content)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        start = 0 if host.wrong_start else start
        if start >= size:
            return self._reply(416, headers | {"Content-Range": f"bytes */{size}"})
        return self._reply(206, headers | {"Content-Range": f"bytes {start}-{size - 1}/{size}"}, host.content[start:])

    def _reply(self, status: int, headers: dict, body: bytes = b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.host.tell_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stop = self.host.stall_after if self.host.stall_after is not None else self.host.drop_after
        try:
            self.wfile.write(body[:stop])
            self.wfile.flush()
            if self.host.stall_after is not None:
                self.host.released.wait(20)
        except OSError:
            pass  # the client went away
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def host():
    host = Host()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host}))
    server.daemon_threads = True
    host.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield host
    host.released.set()
    server.shutdown()
    server.server_close()
    thread.join(timeout=5)


@pytest.fixture
def a_checkpoint(host) -> Checkpoint:
    return a_checkpoint_of(host)


def a_checkpoint_of(host: Host) -> Checkpoint:
    return replace(CHECKPOINTS["sam2.1_hiera_tiny"], file_name=NAME, url=host.url, size_bytes=len(host.content), sha256=host.sha256())


def an_unpublished(checkpoint: Checkpoint) -> Checkpoint:
    """The same with neither size nor hash known, so that only the protocol can notice a mixture of versions."""
    return replace(checkpoint, size_bytes=None, sha256=None)


def leave_a_part(folder: Path, content: bytes, version: str | None = '"one"') -> Path:
    part = folder / f"{NAME}.part"
    part.write_bytes(content)
    if version is not None:
        (folder / f"{NAME}.part.version").write_text(version, encoding="utf-8")
    return part


def visible_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# --- all is well


def test_a_download_arrives_whole_and_leaves_nothing_else(host, a_checkpoint, tmp_path):
    folder = tmp_path / "new" / "folder"
    path = download_checkpoint(a_checkpoint, folder)
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert visible_files(folder) == [NAME]
    assert host.asked == [None]


def test_without_a_folder_it_goes_into_the_cache(host, a_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path / "cache"))
    assert download_checkpoint(a_checkpoint) == tmp_path / "cache" / NAME


def test_progress_counts_up_to_the_size(host, a_checkpoint, tmp_path):
    seen = []
    download_checkpoint(a_checkpoint, tmp_path, progress=seen.append)
    done = [progress.done for progress in seen]
    assert done == sorted(set(done))
    assert done[0] == 0 and done[-1] == len(CONTENT)
    assert 4 <= len(done) <= 6  # start, about one in a mebibyte, end
    assert {progress.total for progress in seen} == {len(CONTENT)}
    assert NAME in seen[0].what


def test_a_good_file_is_returned_without_the_network(host, a_checkpoint, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert download_checkpoint(a_checkpoint, tmp_path) == tmp_path / NAME
    assert host.asked == []
    assert visible_files(tmp_path) == [NAME]


def test_a_damaged_file_is_replaced_by_a_good_one_only(host, a_checkpoint, tmp_path):
    (tmp_path / NAME).write_bytes(b"damaged")
    host.status = 503
    with pytest.raises(DownloadError):
        download_checkpoint(a_checkpoint, tmp_path)
    assert (tmp_path / NAME).read_bytes() == b"damaged"
    host.status = None
    download_checkpoint(a_checkpoint, tmp_path)
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_length_is_fine(host, a_checkpoint, tmp_path):
    host.tell_length = False
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT


def test_the_opener_that_was_given_is_used(host, a_checkpoint, tmp_path):
    class Opener:
        def __init__(self):
            self.calls = []

        def open(self, request, timeout):
            self.calls.append((request.full_url, timeout))
            return urllib.request.build_opener().open(request, timeout=timeout)

    opener = Opener()
    download_checkpoint(a_checkpoint, tmp_path, opener=opener)
    assert opener.calls == [(host.url, download.TIMEOUT_S)]


def test_weights_without_a_url_are_only_checked(tmp_path):
    file = tmp_path / "compact.safetensors"
    bundled = replace(CHECKPOINTS["bundled"], file_name=str(file), size_bytes=3, sha256=None)
    with pytest.raises(CheckpointError, match="missing"):
        download_checkpoint(bundled)
    file.write_bytes(b"ab")
    with pytest.raises(CheckpointError, match="truncated"):
        download_checkpoint(bundled)
    file.write_bytes(b"abc")
    assert download_checkpoint(bundled) == file


# --- going on after an interruption


def test_a_dropped_connection_keeps_the_part_and_the_next_attempt_goes_on(host, a_checkpoint, tmp_path):
    host.drop_after = MIB
    with pytest.raises(DownloadError) as caught:
        download_checkpoint(a_checkpoint, tmp_path)
    message = str(caught.value)
    for text in (f"ended after {MIB} of {len(CONTENT)} bytes", f"{MIB} bytes are kept", host.url, NAME, str(tmp_path)):
        assert text in message
    assert "\n" not in message
    assert not (tmp_path / NAME).exists()

    host.drop_after = None
    seen = []
    path = download_checkpoint(a_checkpoint, tmp_path, progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert host.asked == [None, f"bytes={MIB}-"]
    assert seen[0].done == MIB
    assert visible_files(tmp_path) == [NAME]


def test_several_drops_in_a_row_still_end_in_the_right_file(host, tmp_path, a_checkpoint):
    host.drop_after = MIB
    for _ in range(2):
        with pytest.raises(DownloadError):
            download_checkpoint(a_checkpoint, tmp_path)
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT
    assert host.asked == [None, f"bytes={MIB}-", f"bytes={2 * MIB}-"]


def test_a_drop_is_noticed_when_only_the_published_size_can_tell(host, a_checkpoint, tmp_path):
    host.tell_length = False
    host.drop_after = 1000
    with pytest.raises(DownloadError, match=f"ended after 1000 of {len(CONTENT)} bytes"):
        download_checkpoint(a_checkpoint, tmp_path)


def test_a_server_that_ignores_the_range_is_read_from_the_start(host, a_checkpoint, tmp_path):
    leave_a_part(tmp_path, CONTENT[:MIB])
    host.ignore_range = True
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT
    assert host.asked == [f"bytes={MIB}-"]


@pytest.mark.parametrize("ignore_if_range", [False, True], ids=["the server notices", "only the reply's ETag tells"])
def test_two_versions_are_never_glued(host, a_checkpoint, tmp_path, ignore_if_range):
    leave_a_part(tmp_path, OTHER[:MIB], version='"zero"')
    host.ignore_if_range = ignore_if_range
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT
    assert host.asked == [f"bytes={MIB}-", None][: 1 + ignore_if_range]


def test_a_version_that_changes_between_two_drops_starts_anew(host, a_checkpoint, tmp_path):
    host.content, host.etag, host.drop_after = OTHER, '"old"', MIB
    with pytest.raises(DownloadError):
        download_checkpoint(an_unpublished(a_checkpoint), tmp_path)
    host.content, host.etag, host.drop_after = CONTENT, '"new"', 1000
    with pytest.raises(DownloadError):
        download_checkpoint(an_unpublished(a_checkpoint), tmp_path)
    host.drop_after = None
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT
    assert host.asked == [None, f"bytes={MIB}-", "bytes=1000-"]


@pytest.mark.parametrize("version", [None, "", '"one"\r\nX: y', '"\u2713"'])
def test_a_part_of_unknown_or_damaged_version_is_not_used(host, a_checkpoint, tmp_path, version):
    leave_a_part(tmp_path, OTHER[:MIB], version)
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT
    assert host.asked == [None]


def test_a_weak_etag_is_no_version_and_the_message_promises_nothing(host, a_checkpoint, tmp_path):
    host.etag, host.drop_after = 'W/"one"', MIB
    with pytest.raises(DownloadError) as caught:
        download_checkpoint(a_checkpoint, tmp_path)
    assert "are kept" not in str(caught.value)
    host.drop_after = None
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT
    assert host.asked == [None, None]


def test_without_an_etag_the_date_of_the_file_is_its_version(host, a_checkpoint, tmp_path):
    host.etag, host.last_modified, host.drop_after = None, "Sun, 29 Sep 2024 00:00:00 GMT", MIB
    with pytest.raises(DownloadError):
        download_checkpoint(a_checkpoint, tmp_path)
    host.drop_after = None
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT
    assert host.asked == [None, f"bytes={MIB}-"]


def test_a_part_that_is_complete_already_is_taken_without_its_bytes_again(host, a_checkpoint, tmp_path):
    leave_a_part(tmp_path, CONTENT)
    seen = []
    assert download_checkpoint(a_checkpoint, tmp_path, progress=seen.append).read_bytes() == CONTENT
    assert host.asked == [f"bytes={len(CONTENT)}-"]
    assert seen == []
    assert visible_files(tmp_path) == [NAME]


def test_a_part_that_is_too_long_starts_anew(host, a_checkpoint, tmp_path):
    leave_a_part(tmp_path, CONTENT + b"more")
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT
    assert host.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_range_that_starts_elsewhere_is_not_appended(host, a_checkpoint, tmp_path):
    leave_a_part(tmp_path, CONTENT[:MIB])
    host.wrong_start = True
    assert download_checkpoint(an_unpublished(a_checkpoint), tmp_path).read_bytes() == CONTENT
    assert host.asked == [f"bytes={MIB}-", None]


def test_a_redirect_is_followed_and_the_range_with_it(host, a_checkpoint, tmp_path):
    leave_a_part(tmp_path, CONTENT[:MIB])
    moved = replace(a_checkpoint, url=host.url.replace(NAME, "moved"))
    assert download_checkpoint(moved, tmp_path).read_bytes() == CONTENT
    assert host.asked == [f"bytes={MIB}-"]


# --- not what was expected


def test_wrong_content_is_refused_and_removed(host, a_checkpoint, tmp_path):
    host.content = OTHER
    with pytest.raises(CheckpointError, match="refused and removed.*expected SHA-256"):
        download_checkpoint(a_checkpoint, tmp_path)
    assert visible_files(tmp_path) == []


def test_a_file_of_another_length_is_refused_before_the_part_is_touched(host, a_checkpoint, tmp_path):
    part = leave_a_part(tmp_path, CONTENT[:MIB])
    host.content, host.etag = b"<html>Please log in</html>", None
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes, the server offers 26"):
        download_checkpoint(a_checkpoint, tmp_path)
    assert part.read_bytes() == CONTENT[:MIB]


def test_a_server_that_sends_too_much_is_cut_off_and_refused(host, a_checkpoint, tmp_path):
    host.content, host.tell_length = CONTENT * 10, False
    seen = []
    with pytest.raises(CheckpointError, match="too long"):
        download_checkpoint(a_checkpoint, tmp_path, progress=seen.append)
    assert seen[-1].done < 2 * len(CONTENT)
    assert visible_files(tmp_path) == []


@pytest.mark.parametrize("status, words", [(404, "404 Not Found"), (500, "500"), (204, "204")])
def test_another_answer_is_a_download_error_with_the_way_by_hand(host, a_checkpoint, tmp_path, status, words):
    part = leave_a_part(tmp_path, CONTENT[:1000])
    host.status = status
    with pytest.raises(DownloadError) as caught:
        download_checkpoint(a_checkpoint, tmp_path)
    message = str(caught.value)
    for text in (words, "1000 bytes are kept", host.url, f"as {NAME} in {tmp_path}"):
        assert text in message
    assert part.read_bytes() == CONTENT[:1000]


def test_nobody_listening_is_a_download_error(a_checkpoint, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = replace(a_checkpoint, url=f"http://127.0.0.1:{unused.getsockname()[1]}/{NAME}")
        with pytest.raises(DownloadError, match="no connection.*refused"):
            download_checkpoint(nowhere, tmp_path)


def test_an_unknown_host_is_a_download_error(a_checkpoint, tmp_path):
    class Offline:
        def open(self, *_, **__):
            raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    with pytest.raises(DownloadError, match="no connection.*Name or service not known.*install it by hand"):
        download_checkpoint(a_checkpoint, tmp_path, opener=Offline())


def test_a_server_that_answers_no_http_is_a_download_error(a_checkpoint, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail ready\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(DownloadError, match="no connection, or it broke"):
            download_checkpoint(replace(a_checkpoint, url=f"http://127.0.0.1:{server.getsockname()[1]}/{NAME}"), tmp_path)
        thread.join(timeout=5)


@pytest.mark.parametrize("stall_after", [0, MIB])
def test_a_silent_server_times_out(host, a_checkpoint, tmp_path, monkeypatch, stall_after):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.3)
    host.stall_after = stall_after
    started = time.monotonic()
    with pytest.raises(DownloadError, match="silent for 0.3 s"):
        download_checkpoint(a_checkpoint, tmp_path)
    assert time.monotonic() - started < 10
    assert (tmp_path / f"{NAME}.part").stat().st_size == stall_after


# --- stopping


def test_a_cancelled_download_keeps_its_part_and_goes_on_later(host, a_checkpoint, tmp_path):
    token = CancelToken()
    with pytest.raises(Cancelled):
        download_checkpoint(a_checkpoint, tmp_path, progress=lambda progress: progress.done >= MIB and token.cancel(), cancel=token)
    kept = (tmp_path / f"{NAME}.part").stat().st_size
    assert MIB <= kept < len(CONTENT)
    assert not (tmp_path / NAME).exists()
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT
    assert host.asked == [None, f"bytes={kept}-"]


def test_a_download_that_is_cancelled_before_it_starts_asks_nobody(host, a_checkpoint, tmp_path):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        download_checkpoint(a_checkpoint, tmp_path, cancel=token)
    assert host.asked == []


# --- the disk


def test_too_little_room_is_told_before_the_download(host, a_checkpoint, tmp_path, monkeypatch):
    part = leave_a_part(tmp_path, CONTENT[:MIB])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OutputError, match=f"{len(CONTENT) - MIB} more bytes are needed, 1000 are free"):
        download_checkpoint(a_checkpoint, tmp_path)
    assert part.read_bytes() == CONTENT[:MIB]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_an_output_error(host, a_checkpoint, tmp_path):
    (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left on device"):
        download_checkpoint(a_checkpoint, tmp_path)
    assert not (tmp_path / NAME).exists()


def test_a_write_that_takes_only_a_part_of_a_block_is_continued():
    class Reluctant:
        taken = b""

        def write(self, block):
            self.taken += bytes(block[:3])
            return min(3, len(block))

    file = Reluctant()
    download._write_all(file, b"0123456789")
    assert file.taken == b"0123456789"


def test_a_folder_that_cannot_be_made_is_an_output_error(host, a_checkpoint, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=f"Cannot write '{NAME}'.*SAM2ANNOTATE_CACHE"):
        download_checkpoint(a_checkpoint, tmp_path / "file" / "folder")
    assert host.asked == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_folder_is_an_output_error(host, a_checkpoint, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            download_checkpoint(a_checkpoint, tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert host.asked == []


# --- two at once


def test_a_second_process_is_turned_away_and_a_dead_one_leaves_no_lock(host, a_checkpoint, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from SAM2AnnotateLib.engine.models.checkpoints import CHECKPOINTS; from SAM2AnnotateLib.engine.models.download import _Transfer\n"
        "with _Transfer(CHECKPOINTS['medsam2'], '', Path(sys.argv[1])).one_process_only():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    root = Path(download.__file__).resolve().parents[3]
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / NAME)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DownloadError, match="already being downloaded"):
            download_checkpoint(a_checkpoint, tmp_path)
        assert host.asked == []
    finally:
        holder.kill()
        holder.communicate(timeout=10)
    assert download_checkpoint(a_checkpoint, tmp_path).read_bytes() == CONTENT


def test_a_second_thread_is_turned_away_too(host, a_checkpoint, tmp_path):
    second = []

    def start_another(progress):
        if not second:
            try:
                download_checkpoint(a_checkpoint, tmp_path)
            except DownloadError as exc:
                second.append(str(exc))

    assert download_checkpoint(a_checkpoint, tmp_path, progress=start_another).read_bytes() == CONTENT
    assert len(second) == 1 and "already being downloaded" in second[0]
