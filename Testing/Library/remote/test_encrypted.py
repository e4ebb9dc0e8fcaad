"""TLS: a certificate that nobody vouches for ends it before anything is sent; one's own authority is named by a file."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest
from lent_server import LentServer

from SAM2AnnotateLib.errors import ServerError
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.remote.about import ask_about
from SAM2AnnotateLib.remote.address import ServerAccess, ServerAddress
from SAM2AnnotateLib.remote.link import Link, no_tls
from SAM2AnnotateLib.remote.session import Patience, RemoteSession
from SAM2AnnotateLib.worker import wire
from SAM2AnnotateLib.worker.messages import LoadModel


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A server's certificate by an authority of its own, one for another machine, and their keys."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], check=True, capture_output=True, cwd=folder, timeout=60)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    run(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Hospital CA", "-addext", "keyUsage=critical,keyCertSign")
    for name, alternative in (("here", "IP:127.0.0.1"), ("elsewhere", "DNS:sam.hospital.example")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return folder


def a_server(folder, certificates, name: str) -> LentServer:
    return LentServer(folder, options=("--certificate", str(certificates / f"{name}.pem"), "--key", str(certificates / f"{name}.key")))


def test_a_certificate_is_verified_and_ones_own_authority_is_named_by_a_file(tmp_path, certificates):
    with a_server(tmp_path, certificates, "here") as server:
        address = ServerAddress.parse(f"https://127.0.0.1:{server.port}")
        trusting = ServerAccess(address, server.token, str(certificates / "ca.pem"))
        about = ask_about(trusting)
        assert about.encrypted and about.user == "anna"
        session = RemoteSession(lambda known: Link.open(trusting, known))
        assert session.load_model(LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken())["model"] == "scripted"
        session.close()
        met = server.log.count("session_began")
        doubting = ServerAccess(address, server.token)
        for ask in (lambda: ask_about(doubting), lambda: Link.open(doubting)):
            with pytest.raises(ServerError, match="certificate of .* is not trusted.*Nothing was sent"):
                ask()
        plain = ServerAccess(ServerAddress.parse(f"http://127.0.0.1:{server.port}"), server.token)
        with pytest.raises(ServerError):
            RemoteSession(lambda known: Link.open(plain, known), patience=Patience(first_seconds=0.1)).load_model(
                LoadModel(1, wire.THE_SERVERS_MODEL), CancelToken()
            )
        assert server.log.count("session_began") == met


def test_a_certificate_of_another_machine_is_not_taken(tmp_path, certificates):
    with a_server(tmp_path, certificates, "elsewhere") as server:
        address = ServerAddress.parse(f"https://127.0.0.1:{server.port}")
        access = ServerAccess(address, server.token, str(certificates / "ca.pem"))
        for ask in (lambda: ask_about(access), lambda: Link.open(access)):
            with pytest.raises(ServerError, match="not trusted"):
                ask()


def test_a_server_without_tls_is_told_as_such(tmp_path):
    with LentServer(tmp_path) as server:
        access = ServerAccess(ServerAddress.parse(f"https://127.0.0.1:{server.port}"), server.token)
        for ask in (Link.open, ask_about):
            with pytest.raises(ServerError, match=f"https://127.0.0.1:{server.port} does not speak TLS .WRONG_VERSION_NUMBER") as refused:
                ask(access)
            assert f"Try http://127.0.0.1:{server.port}" in refused.value.remedy


def test_another_machine_without_tls_is_never_spoken_to_in_the_open():
    fault = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
    told = no_tls(ServerAccess(ServerAddress.parse("https://sam.example:8765"), "a-token"), fault)
    assert "https://sam.example:8765 does not speak TLS" in told.problem
    assert "--certificate" in told.remedy and "http://" not in told.remedy
