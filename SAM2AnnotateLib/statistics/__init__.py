"""Comparing models on the same cases: summaries, paired tests, confidence intervals. Imports numpy, errors and (inside functions) scipy.

NaN stands for a score that is undefined, as that of a label that neither the truth nor the prediction holds. One rule for all: it is left
out, from a pair with its partner, and the number that remains is part of every result. An infinite value (the HD95 of a missed object) is
no NaN: it is the worst there is, counts, and takes the highest rank.
"""

from .bootstrap import Interval, bootstrap_interval, paired_bootstrap_interval
from .paired import PairedTest, holm_adjusted, paired_differences, wilcoxon_signed_rank
from .summary import Summary, summarize

__all__ = [
    "Interval", "PairedTest", "Summary", "bootstrap_interval", "holm_adjusted", "paired_bootstrap_interval", "paired_differences",
    "summarize", "wilcoxon_signed_rank",
]  # fmt: skip
