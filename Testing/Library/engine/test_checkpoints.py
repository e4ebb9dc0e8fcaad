"""Which weights a name means, where they lie, and whether a file is what it claims to be. No network, no torch."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from SAM2AnnotateLib import engine
from SAM2AnnotateLib.engine.models import checkpoints
from SAM2AnnotateLib.engine.models.checkpoints import (
    CHECKPOINTS,
    cache_folder,
    file_sha256,
    find_checkpoint,
    local_file,
    require_local_file,
    verify_file,
)
from SAM2AnnotateLib.engine.models.model_configs import native_image_size
from SAM2AnnotateLib.errors import Cancelled, CheckpointError
from SAM2AnnotateLib.progress import CancelToken

TINY = CHECKPOINTS["sam2.1_hiera_tiny"]


@pytest.fixture
def a_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def a_safetensors_file(path: Path, **metadata) -> Path:
    header = json.dumps({"__metadata__": metadata} if metadata else {}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


# --- the registry


def test_every_official_model_of_both_releases_is_known_and_three_more():
    official = {f"{release}_hiera_{size}" for release in ("sam2", "sam2.1") for size in ("tiny", "small", "base_plus", "large")}
    assert set(CHECKPOINTS) == official | {"medsam2", "edgetam", "bundled"}


@pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=lambda checkpoint: checkpoint.name)
def test_an_entry_of_the_registry_is_consistent(checkpoint):
    assert CHECKPOINTS[checkpoint.name] is checkpoint
    assert checkpoint.image_size == native_image_size(checkpoint.architecture)
    assert checkpoint.license and checkpoint.source
    if checkpoint.url is not None:
        assert checkpoint.url.startswith("https://") and checkpoint.url.endswith("/" + checkpoint.file_name)
        assert len(bytes.fromhex(checkpoint.sha256)) == 32 and checkpoint.sha256 == checkpoint.sha256.lower()
        # Weights are stored in 32 bit, so the published sizes must agree with the published numbers of parameters.
        assert checkpoint.size_bytes == pytest.approx(4e6 * checkpoint.parameters_millions, rel=0.01)


def test_no_two_entries_share_a_hash_a_size_or_a_url():
    downloadable = [checkpoint for checkpoint in CHECKPOINTS.values() if checkpoint.url]
    for field in ("sha256", "size_bytes", "url", "file_name"):
        assert len({getattr(checkpoint, field) for checkpoint in downloadable}) == len(downloadable) == 10


def test_the_release_folder_of_a_url_fits_the_release():
    for name, checkpoint in CHECKPOINTS.items():
        if name.startswith("sam2.1_"):
            assert "/092824/" in checkpoint.url
        elif name.startswith("sam2_"):
            assert "/072824/" in checkpoint.url


def test_the_license_of_medsam2_names_its_restriction():
    assert "research and education only" in CHECKPOINTS["medsam2"].license


def test_the_bundled_weights_belong_inside_the_package():
    room = Path(engine.__file__).resolve().parent
    assert Path(CHECKPOINTS["bundled"].file_name) == room / "weights" / "compact.safetensors"


# --- finding one


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "medsam2"])
def test_a_name_is_known_with_and_without_pt(name):
    assert find_checkpoint(name) is find_checkpoint(name + ".pt") is CHECKPOINTS[name]


def test_the_file_name_of_a_known_model_is_known():
    assert find_checkpoint("MedSAM2_latest.pt") is CHECKPOINTS["medsam2"]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(CheckpointError, match="Unknown model 'sam3'.*bundled.*sam2.1_hiera_tiny.*medsam2"):
        find_checkpoint("sam3")


def test_a_missing_file_and_a_foreign_suffix_are_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"x")
    for path in (tmp_path / "missing.pt", tmp_path / "weights.pth", tmp_path):
        with pytest.raises(CheckpointError, match="Unknown model"):
            find_checkpoint(path)


def test_a_known_name_refuses_a_foreign_architecture():
    assert find_checkpoint("medsam2", architecture="medsam2") is CHECKPOINTS["medsam2"]
    with pytest.raises(CheckpointError, match="'medsam2' is of architecture 'medsam2', not 'compact'"):
        find_checkpoint("medsam2", architecture="compact")


def test_the_architecture_of_a_file_is_told_by_argument_then_metadata_then_name(tmp_path):
    named = a_safetensors_file(tmp_path / "a.safetensors", architecture="compact", license="MIT")
    assert find_checkpoint(named).architecture == "compact"
    assert find_checkpoint(named).license == "MIT"
    assert find_checkpoint(named).image_size == 256
    assert find_checkpoint(named, architecture="medsam2").architecture == "medsam2"

    tuned = tmp_path / "sam2.1_hiera_small.pt"
    tuned.write_bytes(b"fine-tuned")
    assert find_checkpoint(tuned).architecture == "sam2.1_hiera_small"

    other = tmp_path / "other.pt"
    other.write_bytes(b"x")
    assert find_checkpoint(other).architecture is None
    assert find_checkpoint(other).image_size is None


def test_a_fine_tuned_file_under_an_old_name_is_not_held_to_the_old_hash(tmp_path):
    tuned = tmp_path / TINY.file_name
    tuned.write_bytes(b"fine-tuned")
    found = find_checkpoint(str(tuned))
    assert (found.sha256, found.size_bytes, found.license) == (None, None, "not stated")
    verify_file(found, tuned)


def test_a_file_in_the_working_folder_is_meant_by_a_path_not_by_a_known_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(TINY.file_name).write_bytes(b"mine")
    assert find_checkpoint(TINY.file_name) is TINY
    assert find_checkpoint("./" + TINY.file_name).file_name == str(tmp_path / TINY.file_name)
    assert find_checkpoint(Path(TINY.file_name)).file_name == str(tmp_path / TINY.file_name)


def test_an_unknown_architecture_is_refused_with_the_known_ones(tmp_path):
    file = a_safetensors_file(tmp_path / "a.safetensors", architecture="vit_h")
    with pytest.raises(CheckpointError, match="Unknown architecture 'vit_h'.*compact"):
        find_checkpoint(file)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        (2**40).to_bytes(8, "little") + b"{}",
        (5).to_bytes(8, "little") + b"{nope",
        (2).to_bytes(8, "little") + b"[]",
        (18).to_bytes(8, "little") + b'{"__metadata__":3}',
    ],
)
def test_a_damaged_safetensors_header_is_a_checkpoint_error(tmp_path, content):
    file = tmp_path / "damaged.safetensors"
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable .safetensors file"):
        find_checkpoint(file)


def test_a_safetensors_file_without_metadata_leaves_the_architecture_open(tmp_path):
    assert find_checkpoint(a_safetensors_file(tmp_path / "plain.safetensors")).architecture is None


# --- where it lies


def test_the_environment_names_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2ANNOTATE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize(
    "platform, folder",
    [
        ("linux", "home/.cache/sam2annotate"),
        ("darwin", "home/Library/Caches/SAM2Annotate"),
        ("win32", "home/AppData/Local/SAM2Annotate/Cache"),
    ],
)
def test_without_it_the_cache_folder_is_the_platforms_own(monkeypatch, tmp_path, platform, folder):
    for name in ("SAM2ANNOTATE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(checkpoints.sys, "platform", platform)
    monkeypatch.setattr(checkpoints.Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / folder


def test_a_relative_xdg_folder_is_ignored_as_its_standard_says(monkeypatch, tmp_path):
    monkeypatch.delenv("SAM2ANNOTATE_CACHE", raising=False)
    monkeypatch.setattr(checkpoints.sys, "platform", "linux")
    monkeypatch.setattr(checkpoints.Path, "home", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "sam2annotate"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "sam2annotate"


def test_a_file_put_into_the_cache_folder_by_hand_is_found(a_cache):
    assert local_file(TINY) is None
    (a_cache / TINY.file_name).write_bytes(b"weights")
    assert local_file(TINY) == require_local_file(TINY) == a_cache / TINY.file_name


def test_missing_weights_say_how_to_get_them(a_cache):
    with pytest.raises(CheckpointError) as caught:
        require_local_file(TINY)
    message = str(caught.value)
    for part in ("sam2annotate models download sam2.1_hiera_tiny", TINY.file_name, str(a_cache), TINY.url):
        assert part in message


def test_a_file_of_the_user_is_found_where_it_lies_and_missed_when_gone(a_cache, tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"x")
    mine = find_checkpoint(file)
    assert require_local_file(mine) == file
    file.unlink()
    with pytest.raises(CheckpointError, match="Put the file back"):
        require_local_file(mine)


def test_missing_bundled_weights_ask_for_a_new_installation(a_cache, tmp_path):
    gone = replace(CHECKPOINTS["bundled"], file_name=str(tmp_path / "compact.safetensors"))
    with pytest.raises(CheckpointError, match="Install SAM2Annotate again"):
        require_local_file(gone)


# --- whether it is the right one


def test_the_hash_of_a_file_is_that_of_all_its_blocks(tmp_path):
    content = bytes(range(256)) * 10000  # more than two blocks
    (tmp_path / "a").write_bytes(content)
    assert file_sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_a_file_is_checked_by_size_and_hash(tmp_path):
    content = b"weights" * 100
    file = tmp_path / "w.pt"
    expected = replace(TINY, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    file.write_bytes(content)
    verify_file(expected, file)

    file.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="truncated: 'sam2.1_hiera_tiny' has 700 bytes, the file 699"):
        verify_file(expected, file)
    file.write_bytes(content + b"!")
    with pytest.raises(CheckpointError, match="too long"):
        verify_file(expected, file)
    file.write_bytes(b"W" + content[1:])
    with pytest.raises(CheckpointError, match="altered: expected SHA-256"):
        verify_file(expected, file)
    file.unlink()
    with pytest.raises(CheckpointError, match="Cannot read"):
        verify_file(expected, file)


def test_the_hash_alone_and_the_size_alone_are_checked_too(tmp_path):
    file = tmp_path / "w.pt"
    file.write_bytes(b"abc")
    with pytest.raises(CheckpointError, match="altered"):
        verify_file(replace(TINY, size_bytes=None), file)
    with pytest.raises(CheckpointError, match="truncated"):
        verify_file(replace(TINY, sha256=None), file)
    verify_file(replace(TINY, size_bytes=None, sha256=None), file)


# --- what it costs to import, and the token


def test_importing_the_registry_and_the_download_pulls_in_neither_torch_nor_sam2():
    code = (
        "import sys, SAM2AnnotateLib.engine.models.checkpoints, SAM2AnnotateLib.engine.models.download\n"
        "print([name for name in ('torch', 'sam2', 'safetensors', 'SimpleITK') if name in sys.modules])"
    )
    root = Path(checkpoints.__file__).resolve().parents[3]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_a_cancel_in_another_thread_is_noticed():
    token = CancelToken()
    token.raise_if_cancelled()
    assert not token.cancelled
    thread = threading.Thread(target=token.cancel)
    thread.start()
    thread.join(timeout=5)
    assert token.cancelled
    with pytest.raises(Cancelled, match="Stopped on request"):
        token.raise_if_cancelled()
