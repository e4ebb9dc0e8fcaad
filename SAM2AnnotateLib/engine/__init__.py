"""Models: what one must do, the SAM 2 one, a scripted one, and their weights. `sam2_engine` and `loading` alone import torch and sam2."""

from .checkpoints import CHECKPOINTS, Checkpoint, find_checkpoint
from .embedding_store import EmbeddingStore
from .engine import Embedding, SegmentationEngine, SlicePrediction, Track
from .loading import load_engine
from .scripted_engine import ScriptedEngine

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "Embedding",
    "EmbeddingStore",
    "ScriptedEngine",
    "SegmentationEngine",
    "SlicePrediction",
    "Track",
    "find_checkpoint",
    "load_engine",
]
