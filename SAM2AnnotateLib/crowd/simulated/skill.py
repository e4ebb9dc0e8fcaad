"""Skill: how well a simulated person draws boxes, in numbers; and some people with names. Imports errors.

Study C (Kulkarni et al.) tells of its non-experts: 3.3 s a slice, masks of a slice Dice of 0.88 from their boxes, 4 of 15 volumes lost to
missing boxes. Study A (Misera et al.) bounds a trained hand's box by 5 % of a side. Every other number here is an assumption of ours, and
says so. README.md in this folder has the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ...errors import InputError

# Study C: seconds that a non-expert takes for a slice.
STUDY_C_SECONDS = 3.3


@dataclass(frozen=True)
class Skill:
    """How a person answers. Shares are of the box's own side, probabilities are 0..1.

    Args:
        edge_px: standard deviation of each edge in pixels: hand and mouse.
        edge_share: the same in shares of the side: the eye. Both add up as independent errors do.
        outward_share: bias: each edge lies so far outside (negative: inside) the object.
        shift_share_rc: bias: the whole box lies so far down and right.
        miss: chance to say "not on this slice" though the object is there.
        miss_small: the same for a slice whose box has nearly no area beside the object's largest; in between it falls evenly to `miss`.
        forgets: share of each object's slices, in one run, on which the person says that it is not there.
        beyond: chance to draw the object one slice beyond its end; it halves with each slice further on.
        swaps: chance to draw the box on the wrong side, left for right.
        merges: chance to draw one box around all parts of the object on a slice.
        overlooks: chance to leave out a part that is not the largest.
        unsure: chance to say "not sure".
        random_share: chance that the answer has nothing to do with the picture: `random_absent` says "not here", the others any box.
        random_absent: of the random answers.
        leaves_after: answers after which the person does not come back; None: stays.
        seconds: median time for an answer.
        seconds_spread: standard deviation of that time's logarithm.

    Raises:
        InputError: if a number is out of its range.
    """

    edge_px: float = 0.0
    edge_share: float = 0.0
    outward_share: float = 0.0
    shift_share_rc: tuple[float, float] = (0.0, 0.0)
    miss: float = 0.0
    miss_small: float = 0.0
    forgets: float = 0.0
    beyond: float = 0.0
    swaps: float = 0.0
    merges: float = 0.0
    overlooks: float = 0.0
    unsure: float = 0.0
    random_share: float = 0.0
    random_absent: float = 0.3
    leaves_after: int | None = None
    seconds: float = STUDY_C_SECONDS
    seconds_spread: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift_share_rc", tuple(self.shift_share_rc))
        chances = ("miss", "miss_small", "forgets", "beyond", "swaps", "merges", "overlooks", "unsure", "random_share", "random_absent")
        for name in chances:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"A skill's '{name}' is between 0 and 1, got {getattr(self, name)!r}.")
        for name in ("edge_px", "edge_share", "seconds_spread"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"A skill's '{name}' is 0 or more, got {getattr(self, name)!r}.")
        if not 0 < self.seconds < math.inf:
            raise InputError(f"A skill's 'seconds' are above 0, got {self.seconds!r}.")
        biases = (self.outward_share, *self.shift_share_rc)
        if not all(-0.45 <= bias <= 10 for bias in biases):
            raise InputError(f"A skill's biases lie between -0.45 and 10 sides, got {biases}.")
        if self.leaves_after is not None and self.leaves_after < 0:
            raise InputError(f"A person leaves after 0 answers or more, got {self.leaves_after}.")

    @property
    def described(self) -> str:
        """What differs from a faultless person, for tables."""
        plain = Skill()
        said = [f"{one.name} {getattr(self, one.name)}" for one in fields(self) if getattr(self, one.name) != getattr(plain, one.name)]
        return ", ".join(said) or "faultless"


# A trained hand: study A's bound of 5 % of a side, as a standard deviation of half of that, and a pixel of the mouse.
CAREFUL = Skill(edge_px=0.5, edge_share=0.025, miss=0.005, miss_small=0.05, beyond=0.05, overlooks=0.02, seconds=5.0)
# Meant as study C's non-experts. Their speed is known; how far their edges lie is not told, and is assumed like the rest.
TYPICAL = Skill(
    edge_px=1.0, edge_share=0.05, outward_share=0.02, miss=0.02, miss_small=0.2, beyond=0.2, merges=0.1, overlooks=0.1, unsure=0.02
)
# Assumed: twice the typical errors in half the time.
HASTY = Skill(
    edge_px=2.0, edge_share=0.10, outward_share=0.03, miss=0.06, miss_small=0.4, beyond=0.3, merges=0.3, overlooks=0.3, seconds=1.6
)

PEOPLE: dict[str, Skill] = {
    "faultless": Skill(),
    "careful": CAREFUL,
    "typical": TYPICAL,
    "hasty": HASTY,
    "too_large": Skill(edge_px=1.0, edge_share=0.05, outward_share=0.15, miss=0.02, beyond=0.2),
    "too_small": Skill(edge_px=1.0, edge_share=0.05, outward_share=-0.10, miss=0.02, miss_small=0.2),
    "shifted": Skill(edge_px=1.0, edge_share=0.05, shift_share_rc=(0.0, 0.15), miss=0.02),
    # Study C lost 4 of 15 volumes to missing boxes; that 3 slices in 10 were missing in them is assumed.
    "forgetful": Skill(edge_px=1.0, edge_share=0.05, miss=0.02, miss_small=0.2, forgets=0.3),
    "mirrored": Skill(edge_px=1.0, edge_share=0.05, miss=0.02, swaps=0.5),
    "leaver": Skill(edge_px=1.0, edge_share=0.05, miss=0.02, leaves_after=40),
    "random_10": Skill(edge_px=1.0, edge_share=0.05, outward_share=0.02, miss=0.02, miss_small=0.2, beyond=0.2, random_share=0.1),
    "random": Skill(random_share=1.0, seconds=1.0),
}
