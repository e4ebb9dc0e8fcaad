"""The block `crowd`: boxes from many simulated people (study C), and what is made of them. Imports errors, crowd and the fields."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

from ...crowd.simulated import MISSING_WAYS, PEOPLE
from ...errors import InputError
from ...yaml_config.fields import build, list_of, read_number, read_text, read_whole

# No box is missing but for what the people's skill says.
NONE_MISSING = "none"
# What is made of the same boxes: of each slice the person's box that the model scores best, as study C; each consensus box by itself; the
# same with slices between interpolated by shape; consensus boxes through SAM 2's memory.
CROWD_WAYS = ("best_scored", "by_slice", "interpolated", "memory")


@dataclass(frozen=True)
class CrowdSetting:
    """One crowd that is compared.

    Args:
        people: answers for each slice.
        every: each n-th slice is asked.
        missing: `NONE_MISSING`, or one of `MISSING_WAYS`.
    """

    people: int
    every: int = 1
    missing: str = NONE_MISSING


@dataclass(frozen=True)
class CrowdConfig:
    """Study C: a simulated crowd annotates each object, through the real assignment and records.

    Args:
        people: numbers of people that are compared, of one crowd of as many as the largest.
        every: slice steps that are compared.
        sparse_people: numbers of people by whom steps above the first, and missing boxes, are tried; empty: all of `people`.
        missing: share of each person's boxes that go missing where that is tried; 0: not.
        skills: names of `crowd.simulated.PEOPLE`; the people have them in turn.
        beyond: slices that are asked beyond each end of the object.
        gold_every: of a copy of the object each n-th slice is asked with a known answer, unseen among the others.
        crowds: crowds without a model, in which one of `largest` people answers at random now and then; 0: none.
        random_share: of that person's answers.
        answers: numbers of answers of each person in those crowds.

    Raises:
        InputError: if a number is out of its range, or a skill is none.
    """

    people: tuple[int, ...] = (1, 2, 3, 5, 7)
    every: tuple[int, ...] = (1, 2, 4, 8)
    sparse_people: tuple[int, ...] = ()
    missing: float = 0.3
    skills: tuple[str, ...] = ("typical",)
    beyond: int = 3
    gold_every: int = 3
    crowds: int = 50
    random_share: float = 0.1
    answers: tuple[int, ...] = (100, 200, 300)

    def __post_init__(self) -> None:
        for name, least, most in (("people", 1, 15), ("every", 1, 100), ("answers", 10, 10_000)):
            numbers = getattr(self, name)
            rising = all(a < b for a, b in pairwise(numbers))
            if not numbers or not rising or numbers[0] < least or numbers[-1] > most:
                raise InputError(f"'{name}' lists rising numbers from {least} to {most}, got {list(numbers)}.")
        if not set(self.sparse_people) <= set(self.people):
            raise InputError(f"'sparse_people' lists some of 'people', {list(self.people)}, got {list(self.sparse_people)}.")
        unknown = [name for name in self.skills if name not in PEOPLE]
        if unknown or not self.skills:
            raise InputError(f"'skills' lists some of {', '.join(PEOPLE)}, got {', '.join(self.skills) or 'none'}.")
        for name in ("missing", "random_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"'{name}' is a share from 0 to 1, got {getattr(self, name):g}.")
        for name, least, most in (("beyond", 0, 1000), ("gold_every", 1, 1000), ("crowds", 0, 10_000)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"'{name}' is {least} to {most}, got {getattr(self, name)}.")

    @property
    def largest(self) -> int:
        """Number of people in the crowd."""
        return self.people[-1]

    @property
    def settings(self) -> tuple[CrowdSetting, ...]:
        """All that is compared: numbers of people at the first step, the other steps, and missing boxes at the first step."""
        sparse = self.sparse_people or self.people
        found = [CrowdSetting(people, self.every[0]) for people in self.people]
        found += [CrowdSetting(people, every) for people, every in product(sparse, self.every[1:])]
        if self.missing:
            found += [CrowdSetting(people, self.every[0], way) for way, people in product(MISSING_WAYS, sparse)]
        return tuple(found)

    @classmethod
    def from_mapping(cls, content: object, place: str = "crowd") -> CrowdConfig:
        """Raises InputError."""
        readers = {
            "people": list_of(read_whole),
            "every": list_of(read_whole),
            "sparse_people": list_of(read_whole),
            "missing": read_number,
            "skills": list_of(read_text),
            "beyond": read_whole,
            "gold_every": read_whole,
            "crowds": read_whole,
            "random_share": read_number,
            "answers": list_of(read_whole),
        }
        return build(cls, content, place, readers)
