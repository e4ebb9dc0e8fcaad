"""Proposals for slices and volumes that nobody annotated, with a doubt, never decisions. `sap_network` alone imports torch.

Three methods behind one protocol: points carried by a threshold, SAP-Net's prototypes, and the learned decoder without a prompt.
"""

from .learned_decoder import DecoderOptions, LearnedDecoder
from .proposals import MOST_DOUBT, AutoPrompter, AutoProposal
from .sap_prompter import SapOptions, SapPrompter
from .threshold_carrying import CarryingSettings, ThresholdCarrying

__all__ = [
    "MOST_DOUBT",
    "AutoPrompter",
    "AutoProposal",
    "CarryingSettings",
    "DecoderOptions",
    "LearnedDecoder",
    "SapOptions",
    "SapPrompter",
    "ThresholdCarrying",
]
