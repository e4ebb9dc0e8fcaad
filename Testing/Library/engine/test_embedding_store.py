"""The store of embeddings: its memory has a limit, the least recently used leave first, and the disk only ever saves work."""

from __future__ import annotations

import doctest
import shutil

import numpy as np
import pytest
from patients import names_in, run_python

from SAM2AnnotateLib.engine import embedding_store
from SAM2AnnotateLib.engine.embedding_store import DEFAULT_LIMIT_BYTES, EmbeddingStore
from SAM2AnnotateLib.engine.engine import Embedding
from SAM2AnnotateLib.errors import InputError, OutputError

BYTES = 80  # of an embedding of `an_encoder`


class AnEncoder:
    """Encodes key n as ten float64 of value n, and keeps count."""

    def __init__(self):
        self.calls: list = []

    def of(self, key):
        def encode() -> Embedding:
            self.calls.append(key)
            return Embedding((np.full(10, key, dtype=np.float64),))

        return encode


@pytest.fixture
def an_encoder() -> AnEncoder:
    return AnEncoder()


def ask(store: EmbeddingStore, encoder: AnEncoder, *keys) -> None:
    for key in keys:
        embedding = store.get(key, encoder.of(key))
        assert embedding.arrays[0].tolist() == [key] * 10
        assert store.nbytes <= max(store.limit_bytes, BYTES)


def counts(store: EmbeddingStore) -> tuple[int, ...]:
    return store.encoded, store.hits, store.spilled, store.read_back, store.dropped


# --- in memory


def test_a_slice_is_encoded_once_and_found_again(an_encoder):
    store = EmbeddingStore()
    ask(store, an_encoder, 1, 2, 1, 1, 2)
    assert an_encoder.calls == [1, 2]
    assert counts(store) == (2, 3, 0, 0, 0)
    assert store.nbytes == 2 * BYTES
    assert store.get(1, an_encoder.of(1)) is store.get(1, an_encoder.of(1))
    assert store.limit_bytes == DEFAULT_LIMIT_BYTES == 2 * 1024**3


def test_the_least_recently_used_leaves_first(an_encoder):
    store = EmbeddingStore(3 * BYTES)
    ask(store, an_encoder, 1, 2, 3, 1, 4)  # 1 was used again, so 2 leaves
    assert [key in store for key in (1, 2, 3, 4)] == [True, False, True, True]
    ask(store, an_encoder, 2)  # and now 3
    assert [key in store for key in (1, 2, 3, 4)] == [True, True, False, True]
    assert counts(store) == (5, 1, 0, 0, 2)


@pytest.mark.parametrize("limit, kept", [(3 * BYTES, 3), (3 * BYTES - 1, 2), (4 * BYTES - 1, 3), (BYTES, 1), (1, 1), (0, 1)])
def test_the_limit_is_kept_but_the_newest_always_stays(an_encoder, limit, kept):
    store = EmbeddingStore(limit)
    ask(store, an_encoder, *range(10))
    assert sum(key in store for key in range(10)) == kept
    assert store.nbytes == kept * BYTES
    assert 9 in store


def test_a_large_embedding_pushes_out_as_many_as_needed(an_encoder):
    store = EmbeddingStore(5 * BYTES)
    ask(store, an_encoder, 1, 2, 3, 4, 5)
    store.get("large", lambda: Embedding((np.zeros(20), np.zeros(10))))  # three times the size
    assert [key in store for key in (1, 2, 3, 4, 5, "large")] == [False, False, False, True, True, True]
    assert store.nbytes == 5 * BYTES


def test_random_asking_keeps_limit_and_order(an_encoder):
    """Against a plain list in order of use."""
    rng = np.random.default_rng(61)
    store, order = EmbeddingStore(4 * BYTES), []
    for key in rng.integers(0, 8, 500).tolist():
        ask(store, an_encoder, key)
        order = [*(other for other in order if other != key), key][-4:]
        assert [other for other in range(8) if other in store] == sorted(order)
    assert store.encoded + store.hits == 500
    assert store.encoded == len(an_encoder.calls)


def test_an_encoder_that_fails_leaves_the_store_as_it_was(an_encoder):
    store = EmbeddingStore(2 * BYTES)
    ask(store, an_encoder, 1, 2)

    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        store.get(3, fail)
    assert 3 not in store and 1 in store and 2 in store
    assert counts(store) == (2, 0, 0, 0, 0)
    ask(store, an_encoder, 3)


def test_a_negative_limit_is_refused():
    with pytest.raises(InputError, match="must not be negative, got -1"):
        EmbeddingStore(-1)


def test_a_cleared_store_knows_nothing_and_can_be_used_again(an_encoder, tmp_path):
    store = EmbeddingStore(BYTES, tmp_path)
    ask(store, an_encoder, 1, 2, 3)
    store.clear()
    assert store.nbytes == 0
    assert not any(key in store for key in (1, 2, 3))
    assert list(tmp_path.glob("*/*")) == []
    ask(store, an_encoder, 4, 1, 2, 4, 1)
    assert an_encoder.calls == [1, 2, 3, 4, 1, 2]
    store.close()


def test_the_example_in_the_docstring_runs():
    results = doctest.testmod(embedding_store)
    assert results.attempted > 0 and results.failed == 0


# --- on disk


@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8", "int64", "bool"])
def test_what_comes_back_from_disk_is_equal_to_the_last_byte(dtype, tmp_path):
    rng = np.random.default_rng(62)
    # Twelve arrays: as text, "10" sorts before "2".
    arrays = tuple((rng.normal(0, 50, (n + 1, 3)) + n).astype(dtype) for n in range(12))
    store = EmbeddingStore(0, tmp_path)
    store.get("a", lambda: Embedding(arrays))
    store.get("b", lambda: Embedding((np.zeros(1),)))
    back = store.get("a", lambda: pytest.fail("encoded again"))
    assert len(back.arrays) == 12
    for stored, original in zip(back.arrays, arrays, strict=True):
        assert (stored.dtype, stored.shape, stored.tobytes()) == (original.dtype, original.shape, original.tobytes())
    assert counts(store) == (2, 0, 2, 1, 0)
    store.close()


def test_with_a_folder_each_slice_is_encoded_once_and_written_once(an_encoder, tmp_path):
    store = EmbeddingStore(2 * BYTES, tmp_path)
    ask(store, an_encoder, *range(6), *range(6), *range(6))
    assert an_encoder.calls == list(range(6))
    assert (store.encoded, store.spilled, store.dropped) == (6, 6, 0)
    assert store.hits + store.read_back == 12
    assert len(list(tmp_path.glob("*/*.npz"))) == 6
    assert all(key in store for key in range(6))
    store.close()


def test_a_closed_store_leaves_nothing_in_the_folder(an_encoder, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    store = EmbeddingStore(BYTES, tmp_path)
    ask(store, an_encoder, 1, 2, 3)
    assert len(names_in(tmp_path)) == 2
    store.close()
    store.close()
    assert names_in(tmp_path) == ["mine.txt"]
    assert 1 not in store


def test_two_stores_in_one_folder_do_not_meet(an_encoder, tmp_path):
    one, two = EmbeddingStore(0, tmp_path), EmbeddingStore(0, tmp_path)
    one.get("slice", lambda: Embedding((np.full(10, 1.0),)))
    two.get("slice", lambda: Embedding((np.full(10, 2.0),)))
    ask(one, an_encoder, 7)
    ask(two, an_encoder, 7)
    one.close()
    assert two.get("slice", lambda: pytest.fail("encoded again")).arrays[0].tolist() == [2.0] * 10
    two.close()


def test_a_missing_spill_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("gone", "file"):
        with pytest.raises(OutputError, match=f"Cannot spill embeddings to '.*{place}'"):
            EmbeddingStore(0, tmp_path / place)


# --- a disk that fails costs time, not work


def test_a_disk_that_is_full_means_encoding_again(an_encoder, tmp_path, monkeypatch):
    def half_written(stream, *arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    store = EmbeddingStore(BYTES, tmp_path)
    ask(store, an_encoder, 1, 2)
    with monkeypatch.context() as full_disk:
        full_disk.setattr(np, "savez", half_written)
        ask(store, an_encoder, 3, 4)  # 2 and 3 cannot be written
    assert [key in store for key in (1, 2, 3, 4)] == [True, False, False, True]
    assert len(list(tmp_path.glob("*/*"))) == 1
    ask(store, an_encoder, 1, 2, 3, 4)
    assert an_encoder.calls == [1, 2, 3, 4, 2, 3]
    assert store.dropped == 2
    store.close()


ON_A_SMALL_DISK = """
import resource, sys
import numpy as np
from SAM2AnnotateLib.engine.embedding_store import EmbeddingStore
from SAM2AnnotateLib.engine.engine import Embedding
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a file may not grow beyond 50 kB: as on a full disk
store = EmbeddingStore(0, sys.argv[1])
for key in (0, 1, 0):
    print(store.get(key, lambda: Embedding((np.full(100_000, float(key)),))).arrays[0].mean(), end=" ")
print(store.encoded, store.spilled, store.dropped)
store.close()
"""


def test_a_full_disk_in_truth_means_encoding_again(tmp_path):
    pytest.importorskip("resource")
    assert run_python(ON_A_SMALL_DISK, tmp_path).split() == ["0.0", "1.0", "0.0", "3", "0", "2"]
    assert names_in(tmp_path) == []


def test_a_folder_that_vanishes_means_encoding_again(an_encoder, tmp_path):
    store = EmbeddingStore(BYTES, tmp_path)
    ask(store, an_encoder, 1, 2, 3)
    shutil.rmtree(next(tmp_path.glob("sam2annotate-*")))
    ask(store, an_encoder, 1, 2, 3, 1)
    assert an_encoder.calls == [1, 2, 3, 1, 2, 3, 1]
    assert store.read_back == 0
    store.close()


@pytest.mark.parametrize("kept", [0, 0.5, 0.99], ids="{:.0%} left".format)
def test_a_damaged_file_means_encoding_again_and_is_written_anew(an_encoder, tmp_path, kept):
    store = EmbeddingStore(BYTES, tmp_path)
    ask(store, an_encoder, 1, 2)
    (file,) = tmp_path.glob("*/*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)] or b"something else")
    ask(store, an_encoder, 1)
    assert an_encoder.calls == [1, 2, 1]
    ask(store, an_encoder, 2, 1)
    assert an_encoder.calls == [1, 2, 1]  # both were written, whole
    assert store.read_back == 2
    store.close()
