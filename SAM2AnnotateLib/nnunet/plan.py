"""The plan of a data set by the name that scripts know it by; it lives in `cases`. Imports cases."""

from .cases.plan import *  # noqa: F403 - a door: everything that is public there
