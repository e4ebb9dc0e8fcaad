"""What a server refuses to start with: each in one line, before a model is loaded."""

from __future__ import annotations

import argparse
import socket

import pytest

from SAM2AnnotateLib.cli import serve as command
from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.server.address import DEFAULT_PORT, Address
from SAM2AnnotateLib.server.tokens import TokenFile

for _package in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(_package)


@pytest.fixture
def a_token_file(tmp_path):
    TokenFile(tmp_path / "tokens.json").add("anna")
    return str(tmp_path / "tokens.json")


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    def load(*_arguments, **_options):
        raise AssertionError("a model was loaded before all else was checked")

    monkeypatch.setattr("SAM2AnnotateLib.engine.load_engine", load)


def _refusal(capsys, *options: str) -> str:
    assert main(["serve", *options]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "Traceback" not in told
    return told


def test_without_a_token_it_does_not_start(tmp_path, capsys):
    assert "without a token nobody may come in" in _refusal(capsys)
    assert "serve token add" in _refusal(capsys, "--token-file", str(tmp_path / "none.json"))
    empty = tmp_path / "empty.json"
    empty.write_text('{"format": 1, "tokens": []}')
    empty.chmod(0o600)
    assert "no token" in _refusal(capsys, "--token-file", str(empty))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", "no such host", ""])
def test_without_tls_no_other_address_than_the_loopback_is_taken(a_token_file, capsys, host):
    assert "without TLS everybody" in _refusal(capsys, "--token-file", a_token_file, "--host", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_loopback_is_safe(host):
    Address(host).require_safe()


def test_behind_a_proxy_any_address_is_taken():
    Address("0.0.0.0", proxy="127.0.0.1").require_safe()


def test_certificate_and_key_belong_together_and_can_be_read(a_token_file, capsys, tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    assert "both --certificate and --key" in _refusal(capsys, "--token-file", a_token_file, "--certificate", str(junk))
    for name in (str(junk), str(tmp_path / "none.pem")):
        assert "cannot be used" in _refusal(capsys, "--token-file", a_token_file, "--certificate", name, "--key", name)


def test_a_port_that_is_taken_is_told(a_token_file, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Cannot listen at 127.0.0.1, port {port}" in _refusal(capsys, "--token-file", a_token_file, "--port", port)
    assert "A port is 0 to 65535" in _refusal(capsys, "--token-file", a_token_file, "--port", "70000")


def test_a_limit_must_be_above_zero(a_token_file, capsys):
    assert "sessions must be above 0" in _refusal(capsys, "--token-file", a_token_file, "--sessions", "0")


def test_two_models_of_one_name_cannot_be_told_apart(a_token_file, capsys):
    assert "two have the same" in _refusal(capsys, "--token-file", a_token_file, "--also", "somewhere/bundled")


def test_command_line_and_server_name_the_same_port():
    assert command._PORT == DEFAULT_PORT


def test_an_adapter_is_each_clients_own(a_token_file, capsys):
    told = _refusal(capsys, "--token-file", a_token_file, "--adapter", "liver.safetensors")
    assert "each client brings its own" in told and "segment ... --server URL --adapter FILE" in told


@pytest.mark.parametrize(
    ("options", "megabytes"),
    [
        ((), 2048),
        (("--volumes-mb", "600"), 1024),
        (("--volumes-mb", "600", "--largest-volume-mb", "100"), 300),
        (("--volumes-mb-per-user", "7"), 7),
    ],
)
def test_one_user_gets_half_of_the_memory_for_volumes_and_at_least_one_volume(options, megabytes):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    assert command._mb_per_user(parser.parse_args(["serve", *options])) == megabytes
