"""What several people's answers say together, and how far each of them can be trusted: numbers only. Imports answers, geometry, numpy.

Everything is worked out anew from the answers, without chance: the same answers give the same consensus, in whatever order they come.
"""

from .accuracy import PersonAccuracy, people_accuracy
from .consensus import ConsensusSlice, consensus_of, consensus_of_all
from .consensus_boxes import ConsensusBox, Edges, edges_iou, edges_of, expected_boxes, match_edges
from .estimates import Estimate, shrunk_mean, shrunk_rate
from .presence import presence_between
from .smoothing import smoothed_run

__all__ = [
    "ConsensusBox", "ConsensusSlice", "Edges", "Estimate", "PersonAccuracy", "consensus_of", "consensus_of_all", "edges_iou", "edges_of",
    "expected_boxes", "match_edges", "people_accuracy", "presence_between", "shrunk_mean", "shrunk_rate",
    "smoothed_run",
]  # fmt: skip
