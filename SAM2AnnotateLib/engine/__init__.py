"""Models: what one must do, the SAM 2 one, a scripted one, and their weights. the `sam2_` files and `loading` alone import
torch and sam2."""

from .adapter import PROMPT_KINDS, Adapter, AdapterCard
from .checkpoints import CHECKPOINTS, Checkpoint, find_checkpoint
from .embedding_store import EmbeddingStore
from .engine import Embedding, SegmentationEngine, SlicePrediction, Track
from .learning import LearningRun, LearningSettings, Lesson, Place, Recollection
from .loading import load_engine
from .scripted_engine import ScriptedEngine

__all__ = [
    "CHECKPOINTS",
    "PROMPT_KINDS",
    "Adapter",
    "AdapterCard",
    "Checkpoint",
    "Embedding",
    "EmbeddingStore",
    "LearningRun",
    "LearningSettings",
    "Lesson",
    "Place",
    "Recollection",
    "ScriptedEngine",
    "SegmentationEngine",
    "SlicePrediction",
    "Track",
    "find_checkpoint",
    "load_engine",
]
