"""What a person was asked and what they said: plain values, for all other rooms of `crowd`. Imports geometry and errors."""

from .answer import KINDS, Answer, GoldAnswer, Kind, Task, check_boxes

__all__ = ["KINDS", "Answer", "GoldAnswer", "Kind", "Task", "check_boxes"]
