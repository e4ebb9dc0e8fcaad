"""Addresses and tokens: what is taken, what is refused and why. No network."""

from __future__ import annotations

import ssl

import pytest

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.remote.address import TOKEN_VARIABLE, ServerAccess, ServerAddress, token_from


@pytest.mark.parametrize(
    ("typed", "http", "websocket"),
    [
        ("https://sam.hospital.example:8443", "https://sam.hospital.example:8443/about", "wss://sam.hospital.example:8443/about"),
        ("sam.hospital.example", "https://sam.hospital.example:443/about", "wss://sam.hospital.example:443/about"),
        ("wss://sam.hospital.example/lent/", "https://sam.hospital.example:443/lent/about", "wss://sam.hospital.example:443/lent/about"),
        (" http://127.0.0.1:8010 ", "http://127.0.0.1:8010/about", "ws://127.0.0.1:8010/about"),
        ("localhost:8010", "http://localhost:8010/about", "ws://localhost:8010/about"),
        ("ws://[::1]:8010", "http://[::1]:8010/about", "ws://[::1]:8010/about"),
    ],
)
def test_an_address_as_people_type_it(typed, http, websocket):
    address = ServerAddress.parse(typed)
    assert (address.http("/about"), address.websocket("/about")) == (http, websocket)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("http://sam.hospital.example:8010", "not encrypted.*Use https://sam.hospital.example:8010\\."),
        ("http://[2001:db8::1]:8010/sam", r"Use https://\[2001:db8::1\]:8010/sam\."),
        ("ws://10.0.0.7:8010", "not encrypted"),
        ("http://localhost.evil.example", "not encrypted"),
        ("http://127.0.0.1.evil.example", "not encrypted"),
        ("https://anna:secret@sam.hospital.example", "the token is given apart"),
        ("https://sam.hospital.example/?token=abc", "the token is given apart"),
        ("ftp://sam.hospital.example", "begins with 'ftp://'"),
        ("", "no server's address"),
        ("https://", "no server's address"),
        ("https://sam.hospital.example:port", "no server's address"),
        ("https://sam.hospital.example:99999", "no server's address"),
        ("https://sam.hospital.example/a b", "no server's address"),
        ("https://[::1", "no server's address"),
    ],
)
def test_what_is_no_address_or_not_safe_is_refused(typed, reason):
    with pytest.raises(InputError, match=reason) as refused:
        ServerAddress.parse(typed)
    assert "secret" not in str(refused.value)


def test_a_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "from-environment")
    (tmp_path / "token").write_text("from-file\n")
    assert token_from(None) == "from-environment"
    assert token_from(tmp_path / "token") == "from-file"


def test_a_token_that_is_missing_or_none_is_told_and_never_quoted(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    (tmp_path / "two").write_text("my secret\r\nInjected: header")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for file, reason in ((None, "none was given"), (tmp_path / "no", "cannot be read"), (tmp_path / "bytes", "no text")):
        with pytest.raises(InputError, match=reason) as refused:
            token_from(file)
        assert refused.value.remedy
    (tmp_path / "windows").write_text("from-notepad\r\n", encoding="utf-8-sig")
    assert token_from(tmp_path / "windows") == "from-notepad"
    with pytest.raises(InputError, match="one word") as refused:
        token_from(tmp_path / "two")
    assert "secret" not in str(refused.value)


def test_a_token_is_not_shown_with_what_it_belongs_to():
    assert "hidden" not in repr(ServerAccess(ServerAddress.parse("localhost:1"), "hidden"))


def test_a_certificate_is_verified_unless_it_is_this_machine(tmp_path):
    tls = ServerAccess(ServerAddress.parse("sam.hospital.example"), "t").tls()
    assert tls is not None and tls.verify_mode is ssl.CERT_REQUIRED and tls.check_hostname
    assert ServerAccess(ServerAddress.parse("localhost:1"), "t").tls() is None
    for content in ("nothing of the kind", None):
        file = tmp_path / f"{content is None}.pem"
        if content:
            file.write_text(content)
        with pytest.raises(InputError, match="PEM file"):
            ServerAccess(ServerAddress.parse("sam.hospital.example"), "t", str(file)).tls()
