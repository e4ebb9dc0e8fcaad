"""What a person decided about each slice of an object. Calls no model and no GUI. Imports propagation and below."""

from .session import ReviewSession, SliceStatus

__all__ = ["ReviewSession", "SliceStatus"]
