"""What was annotated once, kept as pictures, and found again on other volumes. Imports annotator, propagation, engine, below."""

from .extents import ExtentProposal, propose_extent
from .learning import PrototypeLearning, learn_from_prototypes
from .library import PrototypeLibrary, default_library_folder
from .making import mapping_for, modality_of, prototype_from, prototype_of_slices
from .packed import prototype_from_bytes, prototype_to_bytes
from .proposal import NotFound, ProposalOptions, ProposedObject, as_annotated, drained
from .propose import encoder_for, propose
from .prototype import Prototype, PrototypeSlice

__all__ = [
    "ExtentProposal",
    "NotFound",
    "ProposalOptions",
    "ProposedObject",
    "Prototype",
    "PrototypeLearning",
    "PrototypeLibrary",
    "PrototypeSlice",
    "as_annotated",
    "default_library_folder",
    "drained",
    "encoder_for",
    "learn_from_prototypes",
    "mapping_for",
    "modality_of",
    "propose",
    "propose_extent",
    "prototype_from",
    "prototype_from_bytes",
    "prototype_of_slices",
    "prototype_to_bytes",
]
