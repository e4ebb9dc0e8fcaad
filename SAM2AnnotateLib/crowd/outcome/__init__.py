"""What answers lead to, kept in the project's folder: consensus, masks, doubts. Imports quality and the rooms below, engine's protocol.

``PROJECT/consensus`` holds ``consensus.json`` and ``masks/VOLUME/OBJECT.json``. Each file is written whole; a mask file says what it was
made from, and is made anew only where that has changed. So work that was stopped goes on where it was.
"""

from .files import CONSENSUS_FOLDER, StoredRun, read_outcome, read_run
from .make import WAYS, Said, make_outcome, strays
from .outcome import Outcome, RunKey
from .outline import outline_of
from .queue import doubtful_slices

__all__ = [
    "CONSENSUS_FOLDER", "WAYS", "Outcome", "RunKey", "Said", "StoredRun",
    "doubtful_slices", "make_outcome", "outline_of", "read_outcome", "read_run", "strays",
]  # fmt: skip
