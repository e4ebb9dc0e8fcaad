"""Who is asked what next, what is left for them, and feedback in the training round. Imports records, project, answers and below."""

from .feedback import Feedback, feedback_on
from .next_task import Done, Reservation, next_task
from .remaining import Remaining, remaining

__all__ = ["Done", "Feedback", "Remaining", "Reservation", "feedback_on", "next_task", "remaining"]
