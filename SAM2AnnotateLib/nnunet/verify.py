"""The check of a data set by the name that scripts know it by; it lives in `runs`. Imports runs."""

from .runs.verify import *  # noqa: F403 - a door: everything that is public there
