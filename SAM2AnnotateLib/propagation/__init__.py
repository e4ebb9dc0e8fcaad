"""From prompts on a few slices to masks on all slices of the extent. Imports engine, intensity, prompts and geometry."""

from .passes import Pass, plan_passes
from .propagate import propagate
from .region_of_interest import RegionPolicy
from .results import SliceResult
from .slice_encoder import SliceEncoder
from .stock_way import propagate_as_stock

__all__ = ["Pass", "RegionPolicy", "SliceEncoder", "SliceResult", "plan_passes", "propagate", "propagate_as_stock"]
