"""What a crowd made, for other programs: label maps, an nnU-Net data set, proposals for Slicer. Imports outcome, nnunet, volume_io."""

from .data_set import export_data_set, plan_of
from .kept import KeptOutcome, KeptVolume
from .label_maps import write_label_maps
from .proposals import PROPOSAL_SUFFIX, write_proposals

__all__ = ["PROPOSAL_SUFFIX", "KeptOutcome", "KeptVolume", "export_data_set", "plan_of", "write_label_maps", "write_proposals"]
