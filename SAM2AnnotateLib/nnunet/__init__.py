"""nnU-Net data sets from reviewed segments, and predictions back as proposals. Imports review and below; nnunetv2 only in a subprocess.

A data set is one folder, ``DatasetNNN_Name``, that nnU-Net v2 reads as it is. What this room keeps of its own lies beside nnU-Net's files:
``sam2annotate_plan.json`` (what the values mean, see `DataSetPlan`) and ``provenance/CASE.json`` (where each case comes from).
"""

from .cases.case import CaseImage, ExportCase, SourceSegment
from .cases.plan import DataSetPlan, LabelRule, Region, SplitRule
from .data_sets.data_set import DataSet

__all__ = ["CaseImage", "DataSet", "DataSetPlan", "ExportCase", "LabelRule", "Region", "SourceSegment", "SplitRule"]
