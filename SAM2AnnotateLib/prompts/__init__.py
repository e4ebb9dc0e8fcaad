"""What a person says about an object on one slice, as frozen values. Imports geometry and errors."""

from .slice_prompt import Point, SlicePrompt

__all__ = ["Point", "SlicePrompt"]
