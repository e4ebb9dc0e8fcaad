"""Tokens: kept as hashes, one a user, revoked and expired at once; and how often one may be wrong."""

from __future__ import annotations

import hmac
import json
import os
import time

import pytest

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.server import tokens as tokens_file
from SAM2AnnotateLib.server.guesses import Guesses
from SAM2AnnotateLib.server.tokens import TokenFile, token_id

posix = pytest.mark.skipif(os.name != "posix", reason="who may write a file is told by POSIX's bits")


@pytest.fixture
def a_file(tmp_path):
    return TokenFile(tmp_path / "tokens.json")


def test_a_token_opens_for_its_user_alone(a_file):
    anna, ben = a_file.add("anna"), a_file.add("ben")
    assert a_file.user_of(anna).name == "anna" and a_file.user_of(ben).name == "ben"
    for wrong in ("", "x", anna[:-1], anna + "A", anna[:-1] + ("A" if anna[-1] != "A" else "B"), anna[:13] + ben[13:], anna.upper()):
        assert a_file.user_of(wrong) is None


def test_a_token_is_long_random_and_not_in_the_file(a_file):
    made = [a_file.add(f"user{n}") for n in range(5)]
    text = a_file.path.read_text()
    for token in made:
        secret = token.split("_", 2)[2]
        assert len(secret) == 43 and secret not in text and secret[:12] not in text and token_id(token) in text
    assert len({entry.salt for entry in a_file.entries()}) == 5
    if os.name == "posix":
        assert a_file.path.stat().st_mode & 0o777 == 0o600


def test_secrets_are_compared_in_constant_time_whether_the_id_is_known_or_not(a_file, monkeypatch):
    compared = []
    monkeypatch.setattr(
        tokens_file.hmac, "compare_digest", lambda one, other, whole=hmac.compare_digest: compared.append(1) or whole(one, other)
    )
    anna = a_file.add("anna")
    for token in (anna, "s2a_AAAAAAAA_" + "A" * 43, "nothing", ""):
        compared.clear()
        a_file.user_of(token)
        assert compared == [1], token


def test_one_token_a_user_until_it_is_revoked(a_file):
    first = a_file.add("anna")
    with pytest.raises(InputError, match="has a token already"):
        a_file.add("anna")
    a_file.revoke("anna")
    second = a_file.add("anna")
    assert a_file.user_of(first) is None and a_file.user_of(second).name == "anna"
    with pytest.raises(InputError, match="no token"):
        a_file.revoke("ben")


def test_a_running_server_sees_at_once_what_another_program_revokes(a_file):
    token, server = a_file.add("anna"), TokenFile(a_file.path)
    assert server.knows(token_id(token)) and server.user_of(token) is not None
    a_file.revoke("anna")
    assert server.user_of(token) is None and not server.knows(token_id(token))


def test_a_token_expires(a_file, monkeypatch):
    token = a_file.add("anna", days=2)
    assert a_file.user_of(token) is not None
    now = time.time()
    monkeypatch.setattr(tokens_file.time, "time", lambda: now + 2 * 86_400 + 1)
    assert a_file.user_of(token) is None and not a_file.knows(token_id(token))


@pytest.mark.parametrize("name", ["", "../anna", "a b", "-x", "x" * 65, "Müller", "a\nb"])
def test_a_name_is_plain(a_file, name):
    with pytest.raises(InputError, match="name"):
        a_file.add(name)


@pytest.mark.parametrize("days", [0, -1, float("nan"), 1e9])
def test_days_are_bounded(a_file, days):
    with pytest.raises(InputError, match="expires after"):
        a_file.add("anna", days)


@posix
def test_a_file_that_others_may_write_is_refused(a_file):
    token = a_file.add("anna")
    a_file.path.chmod(0o666)
    with pytest.raises(InputError, match="Others may write"):
        TokenFile(a_file.path).user_of(token)


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 1}', '{"format": 9, "tokens": []}', '{"format": 1, "tokens": [{"id": 3}]}'])
def test_a_damaged_file_lets_nobody_in(a_file, damage):
    token = a_file.add("anna")
    assert a_file.user_of(token) is not None
    a_file.path.write_text(damage)
    with pytest.raises(InputError):
        a_file.user_of(token)


def test_a_salt_that_is_none_is_refused(a_file):
    a_file.add("anna")
    content = json.loads(a_file.path.read_text())
    content["tokens"][0]["salt"] = "zz"
    a_file.path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="damaged"):
        a_file.entries()


def test_the_command_line_makes_lists_and_revokes(tmp_path, capsys):
    file = str(tmp_path / "tokens.json")
    assert main(["serve", "token", "add", "anna", "--token-file", file]) == 0
    token = capsys.readouterr().out.strip()
    assert TokenFile(file).user_of(token).name == "anna"
    assert main(["serve", "token", "add", "ben", "--token-file", file, "--expires", "30"]) == 0
    capsys.readouterr()
    assert main(["serve", "token", "list", "--token-file", file]) == 0
    listed = capsys.readouterr().out
    assert "anna" in listed and "never expires" in listed and "until " in listed and token.split("_", 2)[2] not in listed
    assert main(["serve", "token", "revoke", "anna", "--token-file", file]) == 0
    assert TokenFile(file).user_of(token) is None
    assert main(["serve", "token", "revoke", "anna", "--token-file", file]) == 2
    assert "no token" in capsys.readouterr().err


# -- guesses ----------------------------------------------------------------------------------------------------------------------


class _Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_after_a_number_of_wrong_tokens_an_address_is_refused_for_a_minute():
    clock = _Clock()
    guesses = Guesses(3, clock)
    for _ in range(3):
        assert not guesses.too_many("1.2.3.4", "")
        guesses.failed("1.2.3.4", "")
    assert guesses.too_many("1.2.3.4", "") and not guesses.too_many("1.2.3.5", "")
    clock.now += 59
    assert guesses.too_many("1.2.3.4", "")
    clock.now += 2
    assert not guesses.too_many("1.2.3.4", "")


def test_who_has_an_id_is_not_locked_out_by_a_neighbor_behind_the_same_address():
    guesses = Guesses(3)
    for _ in range(5):
        guesses.failed("1.2.3.4", "revoked0")
        guesses.failed("1.2.3.4", "")
    assert guesses.too_many("1.2.3.4", "revoked0") and guesses.too_many("1.2.3.4", "") and not guesses.too_many("1.2.3.4", "annas_id")


def test_an_attacker_with_many_addresses_takes_no_memory_without_bound():
    guesses = Guesses(3)
    for number in range(11_000):
        guesses.failed(str(number), "")
    assert len(guesses._failed) == 10_000 and guesses._failed.keys() >= {("10999", "")}


@pytest.mark.parametrize("content", [bytes(range(256)), b"abc\0def", b"sam2_a_b\n"])
def test_any_other_file_is_no_file_of_tokens(tmp_path, content):
    path = tmp_path / "my.token"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match="Cannot read the file of tokens") as refused:
        TokenFile(path).entries()
    assert "serve token add NAME" in refused.value.remedy and "codec" not in str(refused.value)
