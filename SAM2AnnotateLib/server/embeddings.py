"""Embeddings of all sessions within one limit of memory. Imports engine."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from ..engine import Embedding, EmbeddingStore


class SharedEmbeddings:
    """The memory that the sessions' stores share.

    Where it is full, the session that holds most gives up what it has not used for longest: nobody's large volume takes the others' memory.

    Args:
        limit_bytes: for all of them together.
    """

    def __init__(self, limit_bytes: int):
        self.limit_bytes = limit_bytes
        self.most_bytes = 0
        self._stores: list[SessionEmbeddings] = []
        self._lock = threading.RLock()

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        with self._lock:
            return sum(store.nbytes for store in self._stores)

    def of_session(self) -> SessionEmbeddings:
        """A session's part; `close` gives it back."""
        with self._lock:
            self._stores.append(SessionEmbeddings(self))
            return self._stores[-1]

    def _keep(self, store: SessionEmbeddings, key: Hashable, embedding: Embedding) -> None:
        with self._lock:
            if store not in self._stores:  # its session ended while the slice was encoded
                return
            store.put(key, embedding)
            total = sum(one.nbytes for one in self._stores)
            while total > self.limit_bytes:
                largest = max(self._stores, key=lambda one: one.nbytes)
                if largest is store and store.holds_one:  # what was just made stays
                    others = [one for one in self._stores if one is not store and one.nbytes]
                    if not others:
                        break
                    largest = max(others, key=lambda one: one.nbytes)
                total -= largest.give_up_oldest()
            self.most_bytes = max(self.most_bytes, total)

    def _leave(self, store: SessionEmbeddings) -> None:
        with self._lock:
            store.clear()
            self._stores[:] = [one for one in self._stores if one is not store]


class SessionEmbeddings(EmbeddingStore):
    """One session's embeddings, of which nobody else ever sees one."""

    def __init__(self, shared: SharedEmbeddings):
        super().__init__(shared.limit_bytes)
        self._shared = shared
        self._kept: OrderedDict[Hashable, Embedding] = OrderedDict()

    @property
    def holds_one(self) -> bool:
        """Whether there is nothing to give up but what was just made."""
        return len(self._kept) <= 1

    def get(self, key: Hashable, encode: Callable[[], Embedding]) -> Embedding:
        """The embedding of `key`: from memory, or made by `encode`."""
        with self._shared._lock:
            found = self._kept.get(key)
            if found is not None:
                self.hits += 1
                self._kept.move_to_end(key)
                return found
        embedding = encode()
        self.encoded += 1
        self._shared._keep(self, key, embedding)
        return embedding

    def put(self, key: Hashable, embedding: Embedding) -> None:
        """Keep it as the newest; the caller holds the lock."""
        known = self._kept.pop(key, None)
        self._kept[key] = embedding
        self.nbytes += embedding.nbytes - (known.nbytes if known is not None else 0)

    def give_up_oldest(self) -> int:
        """Forget what was not used for longest; returns its bytes. The caller holds the lock."""
        _, embedding = self._kept.popitem(last=False)
        self.nbytes -= embedding.nbytes
        self.dropped += 1
        return embedding.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._shared._lock:
            super().clear()

    def close(self) -> None:
        """Forget everything, and take nothing any more."""
        self._shared._leave(self)
