"""``sam2annotate crowd init | invite | status | serve``: in this process, and the server in one of its own."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import urllib.request

import numpy as np
import pytest

for _package in ("fastapi", "uvicorn", "sqlalchemy"):
    pytest.importorskip(_package)
from crowd_browser import Browser, over_network  # noqa: E402
from crowd_cases import a_crowd_project, a_crowd_volume, write_yaml  # noqa: E402
from crowd_server import a_crowd_server  # noqa: E402

from SAM2AnnotateLib.cli.crowd import serve as command  # noqa: E402
from SAM2AnnotateLib.cli.main import main  # noqa: E402
from SAM2AnnotateLib.crowd.records import CrowdRecords  # noqa: E402
from SAM2AnnotateLib.crowd.web.run import DEFAULT_PORT  # noqa: E402
from SAM2AnnotateLib.geometry import Volume, VolumeGrid  # noqa: E402
from SAM2AnnotateLib.volume_io import write_volume  # noqa: E402


@pytest.fixture(autouse=True)
def no_database_from_outside(monkeypatch):
    monkeypatch.delenv("SAM2ANNOTATE_DATABASE", raising=False)


def _refusal(capsys, *options: str) -> str:
    assert main(["crowd", *map(str, options)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "Traceback" not in told
    return told


def test_init_invite_status_make_a_project_that_works(tmp_path, capsys):
    image, label = a_crowd_volume(tmp_path, "p0")
    other, _ = a_crowd_volume(tmp_path, "p1", seed=1)
    folder = tmp_path / "livers"
    made = [
        "crowd",
        "init",
        folder,
        "--volumes",
        image,
        other,
        "--object",
        "Ball=The round one.",
        "--gold",
        f"{other}={label}",
        "--every",
        "2",
    ]
    assert main([str(part) for part in made]) == 0
    told = capsys.readouterr().out
    assert (
        "4 tasks for 3 people each, 8 with a known answer, on 2 volumes" in told
        and "crowd invite" in told
        and (folder / "crowd.sqlite").is_file()
    )
    assert main(["crowd", "invite", str(folder), "--role", "owner", "--address", "https://boxes.example/"]) == 0
    link = capsys.readouterr().out.strip()
    assert re.fullmatch(r"https://boxes\.example/#invite=[\w-]{43}", link)
    assert main(["crowd", "status", str(folder)]) == 0
    assert "0 of 12 answers (0%)" in (table := capsys.readouterr().out) and "Nobody has joined yet" in table
    with CrowdRecords.open(folder / "crowd.sqlite") as records:
        person = records.join(link.partition("=")[2], "Erika Mustermann", "three words together")
    assert main(["crowd", "status", str(folder), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["people"][0]["person"] == person.pseudonym and status["people"][0]["role"] == "owner"
    assert main(["crowd", "status", str(folder)]) == 0
    assert person.pseudonym in (table := capsys.readouterr().out) and "Mustermann" not in table + json.dumps(status)


def test_people_are_listed_shut_out_and_given_new_passwords(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=0)
    with CrowdRecords.open(project.folder / "crowd.sqlite") as records:
        records.add_project(project)
        anna = records.add_member("balls", "Anna B", password="three words together")
    folder = str(project.folder)
    assert main(["crowd", "people", folder, "--new-password", "anna b"]) == 0
    password = capsys.readouterr().out.strip()
    assert main(["crowd", "people", folder, "--shut-out", "Anna B"]) == 0 and main(["crowd", "people", folder]) == 0
    assert re.search(rf"Anna B\s+{anna.pseudonym}\s+annotator\s+shut out", capsys.readouterr().out)
    assert main(["crowd", "people", folder, "--let-in", "Anna B"]) == 0
    with CrowdRecords.open(project.folder / "crowd.sqlite") as records:
        assert records.sign_in("Anna B", password) == anna
    assert "Nobody in this project is called 'Eve'" in _refusal(capsys, "people", folder, "--shut-out", "Eve")


def test_an_invite_is_revoked_by_its_number_or_its_link(tmp_path, capsys):
    folder = str(a_crowd_project(tmp_path / "balls", volumes=1, gold=0).folder)
    links = []
    for note in ("ward 3", "ward 4"):
        assert main(["crowd", "invite", folder, "--uses", "5", "--note", note]) == 0
        links.append(capsys.readouterr().out.strip())
    assert main(["crowd", "invite", folder, "--revoke", "1"]) == 0
    assert capsys.readouterr().out == "By invite 1 (annotator, ward 3) nobody joins any more. Who did, stays.\n"
    assert main(["crowd", "people", folder]) == 0
    table = capsys.readouterr().out
    assert re.search(r"\n1 +annotator .* 5 +revoked \d{4}-\d\d-\d\d \d\d:\d\d +ward 3\n", table)
    assert re.search(r"\n2 +annotator .* 5 +open +ward 4\n", table)
    assert main(["crowd", "invite", folder, "--revoke", links[1]]) == 0
    with CrowdRecords.open(tmp_path / "balls" / "crowd.sqlite") as records:
        assert [records.join(link.partition("=")[2], "Anna", "three words together") for link in links] == [None, None]
    assert "has no invite number 3" in _refusal(capsys, "invite", folder, "--revoke", "3")
    assert "has no invite of this link" in _refusal(capsys, "invite", folder, "--revoke", "https://boxes.example/#invite=gone")


def test_what_is_wrong_is_told_in_one_line(tmp_path, capsys):
    image, _ = a_crowd_volume(tmp_path, "p0")
    folder = tmp_path / "balls"
    assert "is no crowd project" in _refusal(capsys, "status", tmp_path / "gone")
    assert "--gold takes IMAGE=LABELS" in _refusal(capsys, "init", folder, "--volumes", image, "--object", "Ball", "--gold", "x")
    assert "is given twice" in _refusal(capsys, "init", folder, "--volumes", image, "--object", "Ball", "--object", "Ball")
    assert "only 0 answers are known" in _refusal(capsys, "init", folder, "--volumes", image, "--object", "Ball", "--training", "2")
    project = a_crowd_project(tmp_path / "one", volumes=1, gold=0)
    assert "where people reach the server" in _refusal(capsys, "invite", project.folder, "--address", "boxes.example")
    assert "open for up to 366 days" in _refusal(capsys, "invite", project.folder, "--days", "0")
    assert "sqlite or postgresql, not in mysql" in _refusal(capsys, "status", project.folder, "--database", "mysql://x/y")
    other = a_crowd_project(tmp_path / "two", volumes=1, gold=0)
    assert "share one database" in _refusal(capsys, "serve", project.folder, other.folder)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "no such host"])
def test_without_tls_no_other_address_than_the_loopback_is_served(tmp_path, capsys, host):
    folder = a_crowd_project(tmp_path / "balls", volumes=1, gold=0).folder
    assert "without TLS everybody" in _refusal(capsys, "serve", folder, "--host", host)


def test_a_database_that_others_may_write_is_refused(tmp_path, capsys):
    folder = a_crowd_project(tmp_path / "balls", volumes=1, gold=0).folder
    assert main(["crowd", "status", str(folder)]) == 0
    (folder / "crowd.sqlite").chmod(0o666)
    capsys.readouterr()
    assert "Others may write the database" in _refusal(capsys, "serve", folder, "--port", "0")


def test_looking_changes_nothing_that_a_running_server_would_not_know(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=0)
    assert main(["crowd", "status", str(project.folder)]) == 0
    a_crowd_project(tmp_path / "balls", volumes=3, gold=0)
    assert main(["crowd", "status", str(project.folder)]) == 0
    assert "p1" not in capsys.readouterr().out


def test_the_database_is_where_it_is_told_to_be(tmp_path, monkeypatch, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=0, database="named.sqlite")
    assert main(["crowd", "status", str(project.folder)]) == 0 and (project.folder / "named.sqlite").is_file()
    monkeypatch.setenv("SAM2ANNOTATE_DATABASE", str(tmp_path / "set.sqlite"))
    assert main(["crowd", "status", str(project.folder)]) == 0 and (tmp_path / "set.sqlite").is_file()
    given = tmp_path / "given.sqlite"
    assert main(["crowd", "status", str(project.folder), "--database", str(given)]) == 0 and given.is_file()
    assert not (project.folder / "crowd.sqlite").exists()


def test_the_command_s_port_is_the_server_s():
    assert command._PORT == DEFAULT_PORT


def test_behind_a_proxy_people_come_by_tls_whatever_the_server_itself_speaks(tmp_path):
    folders = [a_crowd_project(tmp_path / name, volumes=1, gold=0).folder for name in ("one", "two")]
    database = tmp_path / "both.sqlite"
    with a_crowd_server(tmp_path / "log", folders, "--behind-proxy", "--database", str(database)) as (port, process):
        with CrowdRecords.open(database) as records:
            token = records.make_invite("two")
        browser = Browser(over_network(port), f"127.0.0.1:{port}")
        proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.7.7.7", "Origin": f"https://127.0.0.1:{port}"}
        body = {"invite": token, "name": "Anna", "password": "three words together"}
        assert browser.post("/api/join", body, {**proxied, "Origin": "https://evil.example"}).status_code == 403
        answer = browser.post("/api/join", body, proxied)
        assert answer.status_code == 200, answer.text
        assert answer.header("set-cookie").startswith("__Host-crowd=") and "Secure" in answer.header("set-cookie")
        assert browser.get("/api/me", proxied).json()["projects"][0]["title"] == "Balls"
        assert browser.get("/").header("content-type") == "text/html; charset=utf-8"
        process.terminate()
        assert process.wait(30) is not None
    log = (tmp_path / "log").read_text()
    assert "10.7.7.7" in log and "Anna" not in log and token not in log and "three words" not in log
    assert [json.loads(line)["event"] for line in log.splitlines()][-1] == "stopped"


def test_with_a_certificate_the_server_speaks_tls(tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    folder = a_crowd_project(tmp_path / "balls", volumes=1, gold=0).folder
    with a_crowd_server(tmp_path / "log", [folder], "--certificate", str(certificate), "--key", str(key)) as (port, _):
        context = ssl.create_default_context(cafile=certificate)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/", context=context, timeout=60) as page:
            assert page.headers["strict-transport-security"] and b"<html" in page.read()


def test_a_project_that_is_changed_counts_from_the_next_start(tmp_path, capsys):
    project = a_crowd_project(tmp_path / "balls", volumes=1, gold=0)
    assert main(["crowd", "status", str(project.folder)]) == 0
    write_yaml(project.folder, key="balls", title="Changed", objects=[{"key": "ball", "name": "B", "sentence": "s"}],
               volumes=[{"key": "p0", "image": "p0.nii.gz", "slices": {"every": 4}}], people_per_slice=1)  # fmt: skip
    with a_crowd_server(tmp_path / "log", [project.folder]) as (_, process):
        process.terminate()
        process.wait(30)
    capsys.readouterr()
    assert main(["crowd", "status", str(project.folder)]) == 0
    assert "Changed: 0 of 2 answers" in capsys.readouterr().out


def test_slices_across_the_acquired_ones_are_told(tmp_path, capsys):
    voxels = np.random.default_rng(2).integers(0, 90, (6, 20, 24)).astype(np.int16)
    ijk_to_ras = np.array([[0, 0, 8.0, 0], [1.2, 0, 0, 0], [0, 1.2, 0, 0], [0, 0, 0, 1]])  # sagittal slices, 8 mm apart
    write_volume(Volume(VolumeGrid(voxels.shape, ijk_to_ras), voxels), tmp_path / "heart.nii.gz")
    for axis, told in (("axial", True), ("k", False)):
        options = ("--volumes", tmp_path / "heart.nii.gz", "--object", "Heart=Beats.", "--axis", axis)
        assert main(["crowd", "init", str(tmp_path / axis), *map(str, options)]) == 0
        assert ("acquired along another axis" in capsys.readouterr().out) == told
