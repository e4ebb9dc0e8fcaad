"""What a crowd project keeps in a database: people, tasks, answers, reviews. Imports project, answers and below, SQLAlchemy and alembic."""

from .database import Database
from .passwords import Passwords
from .progress import PersonProgress, Progress, VolumeProgress
from .records import DATABASE_FILE, CrowdRecords
from .values import ROLES, Decision, Doubtful, Invite, Member, Person, ReviewItem, Role, Saved, Turn

__all__ = [
    "DATABASE_FILE",
    "ROLES",
    "CrowdRecords",
    "Database",
    "Decision",
    "Doubtful",
    "Invite",
    "Member",
    "Passwords",
    "Person",
    "PersonProgress",
    "Progress",
    "ReviewItem",
    "Role",
    "Saved",
    "Turn",
    "VolumeProgress",
]
