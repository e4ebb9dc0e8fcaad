"""``sam2annotate crowd demo`` in a process of its own, without PyTorch, opened in a browser that is a script."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from processes import started

from SAM2AnnotateLib.cli.main import main

# None in sys.modules: importing it fails as if it were not installed.
_WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from SAM2AnnotateLib.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script here, and Ctrl+C a signal")
def test_the_demo_opens_its_page_and_leaves_nothing(tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}"\n', encoding="utf-8")
    browser.chmod(0o700)
    place = tmp_path / "temporary"
    place.mkdir()
    environment = {**os.environ, "BROWSER": f"{browser} %s", "DISPLAY": ":0", "TMPDIR": str(place), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", _WITHOUT_TORCH, "crowd", "demo"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with started(command, env=environment, **pipes) as process:
        giving_up = threading.Timer(120, process.kill)
        giving_up.start()
        said = ""
        while "Ctrl+C ends it" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        folder, address, password = (re.search(pattern, said)[1] for pattern in (r"Project: (\S+)", r"at (http://\S+)", r"password (\S+)"))
        assert folder.startswith(str(place))
        assert {role: _me(address, role, password)["projects"][0]["left"] for role in ("owner", "annotator")} == {
            "owner": 20,
            "annotator": 20,
        }
        until = time.monotonic() + 60
        while not opened.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert opened.read_text(encoding="utf-8") == address
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        giving_up.cancel()
    assert list(place.iterdir()) == []


def _me(address, name, password):
    """What the page learns of somebody who signs in."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}api/login", json.dumps({"name": name, "password": password}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    with urllib.request.urlopen(urllib.request.Request(f"{address}api/me", headers={"Cookie": cookie})) as answer:
        return json.load(answer)


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert main(["crowd", "demo", "--folder", str(tmp_path), "--no-browser"]) != 0
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
