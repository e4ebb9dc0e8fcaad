"""Models: what one must do, SAM 2 by `sam2` or `transformers`, a scripted one, and their weights. Torch, sam2 and transformers are
imported once a model is loaded."""

from .adapter import PROMPT_KINDS, Adapter, AdapterCard
from .blending import blended
from .embedding_store import EmbeddingStore
from .engine import Embedding, SegmentationEngine, SlicePrediction, Track
from .learning import LearningRun, LearningSettings, Lesson, Place, Recollection
from .loading import load_engine
from .models.checkpoints import CHECKPOINTS, Checkpoint, find_checkpoint
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
    "blended",
    "find_checkpoint",
    "load_engine",
]
