"""What the comparison of workflows says, in sentences made from its tables; what is worse is said like what is better. Imports study."""

from __future__ import annotations

from typing import Any

from ..tables.tables import Table, share_text
from ..tables.verdict_tables import VERDICTS
from .takeaways import listed, p_words


def of_pair(table: Table, paired: Table, pair: tuple[str, str]) -> tuple[str, ...]:
    """The first workflow against the second, a sentence for each rule."""
    first, second = pair
    means = {(row["rule"], row["workflow"]): row for row in _rows(table)}
    sentences = []
    for row in _rows(paired):
        if row["against"] != second:
            continue
        own, its = means[row["rule"], first], means[row["rule"], second]
        sums = _contrary_sums(means, row, pair)
        sentences.append(
            f"{row['rule']}: '{first}' accepts {share_text(own['accepted_case_mean'])} of the slices and '{second}' "
            f"{share_text(its['accepted_case_mean'])} ({p_words(row['accepted_share_holm_p'])}; more in {row['cases_more']} of "
            f"{row['cases']} cases, fewer in {row['cases_fewer']}); corrected are {share_text(own['corrected_of_truth'])} and "
            f"{share_text(its['corrected_of_truth'])} of the truth's pixels ({p_words(row['corrected_of_truth_holm_p'])}); the reckoned "
            f"time saved is {share_text(own['saved_case_mean'])} and {share_text(its['saved_case_mean'])} "
            f"({p_words(row['saved_share_holm_p'])})"
            f"{f'; {_CONTRARY}: {sums}' if sums else ''}."
        )
    return tuple(sentences)


def of_worst_first(table: Table) -> tuple[str, ...]:
    """What drawing the worst slice again and again does, a sentence for each workflow; from `worst_first_tables.worst_first_table`."""
    sentences = []
    rows = _rows(table)
    for workflow in dict.fromkeys(row["workflow"] for row in rows):
        own = [row for row in rows if row["workflow"] == workflow]
        course = listed([f"{row['dsc']:.3f} with {row['drawn']}" for row in own])
        fell = [row["fell"] for row in own if row["fell"] is not None]
        worse = (
            f"; a slice made {listed([str(count) for count in fell])} of {own[-1]['objects']} objects worse by more than 0.01"
            if fell
            else ""
        )
        sentences.append(f"The worst slice drawn, again and again, '{workflow}': 3-D DSC {course} slices drawn{worse}.")
    return tuple(sentences)


def in_short(table: Table, paired: Table, pair: tuple[str, str], second_is: str) -> tuple[str, ...]:
    """The first workflow against the second over all rules, for the summary.

    Args:
        second_is: what the second is, in words that stand behind its name.
    """
    means = {(row["rule"], row["workflow"]): row for row in _rows(table)}
    tests = [row for row in _rows(paired) if row["against"] == pair[1]]
    if not tests:
        return ()

    def compared(measure: str, test: str, what: str, second_is: str = "") -> str:
        sides = [listed([share_text(means[row["rule"], name][measure]) for row in tests]) for name in pair]
        p_values = listed([p_words(row[f"{test}_holm_p"]) for row in tests])
        return f"{sides[0]} of the {what} with '{pair[0]}', {sides[1]} with '{pair[1]}'{second_is} ({p_values})"

    contrary = [(row["rule"], _contrary_sums(means, row, pair)) for row in tests]
    sums = [f"{numbers} if {rule}" for rule, numbers in contrary if numbers]
    pixels = "truth's pixels"
    return (
        f"Accepted unchanged, as means of {tests[0]['cases']} cases by rule ({' | '.join(row['rule'] for row in tests)}): "
        f"{compared('accepted_case_mean', 'accepted_share', 'slices', second_is)}.",
        f"Corrected: {compared('corrected_of_truth', 'corrected_of_truth', pixels)}{f'; {_CONTRARY}: ' + '; '.join(sums) if sums else ''}.",
    )


_CONTRARY = "corrected pixels summed over all cases, which large objects rule, are the other way round"


def _contrary_sums(means: dict[tuple[str, str], dict[str, Any]], row: dict[str, Any], pair: tuple[str, str]) -> str:
    """Both sums of corrected pixels if they are the contrary of the means of cases; else nothing."""
    own, its = (means[row["rule"], name] for name in pair)
    by_mean, by_sum = own["corrected_of_truth"] - its["corrected_of_truth"], own["corrected_pixels"] - its["corrected_pixels"]
    return f"{own['corrected_pixels']:,} and {its['corrected_pixels']:,}" if by_mean * by_sum < 0 else ""


def of_verdicts(verdicts: Table, pair: tuple[str, str]) -> tuple[str, ...]:
    """All rules in one sentence."""
    counts = {name: sum(verdicts.column(name)) for name in VERDICTS}
    return (
        f"Case by case and rule by rule, '{pair[0]}' is better than '{pair[1]}' in {counts['better']} of {sum(counts.values())}, worse in "
        f"{counts['worse']}, mixed in {counts['mixed']}, equal in {counts['equal']} and open in {counts['open']}.",
    )


def others_in_short(table: Table, first: str) -> tuple[str, ...]:
    """Which workflows are ahead of the first, and at how many rules."""
    parts = []
    for measure, what, sign in _MEASURES:
        ahead: dict[str, int] = {}
        for rule in dict.fromkeys(table.column("rule")):
            for name in _ahead(_rows(table), rule, measure, sign, first):
                ahead[name] = ahead.get(name, 0) + 1
        total = len(set(table.column("rule")))
        names = [f"'{name}' at {count} of {total}" for name, count in sorted(ahead.items(), key=lambda one: -one[1])]
        if names:
            parts.append(f"{what} with {listed(names)}")
    return (f"Ahead of '{first}' at some rules: {'; '.join(parts)}.",) if parts else ()


def of_others(table: Table, first: str) -> tuple[str, ...]:
    """Which workflows are ahead of the first, a sentence for each measure in which there are any; means of cases."""
    rows = _rows(table)
    sentences = []
    for measure, what, sign in _MEASURES:
        parts = []
        for rule in dict.fromkeys(row["rule"] for row in rows):
            ahead = _ahead(rows, rule, measure, sign, first)
            if ahead:
                own = next(row[measure] for row in rows if (row["rule"], row["workflow"]) == (rule, first))
                names = listed([f"'{name}' ({share_text(value)})" for name, value in ahead.items()])
                parts.append(f"at {rule} ({share_text(own)}) with {names}")
        if parts:
            sentences.append(f"{what[0].upper()}{what[1:]} than with '{first}': {'; '.join(parts)}.")
    return tuple(sentences)


# Means of cases: column of `comparison_table`, what a workflow that is ahead has, and the sign of what is better.
_MEASURES = (
    ("accepted_case_mean", "more slices accepted", 1),
    ("corrected_of_truth", "fewer of the truth's pixels corrected", -1),
    ("saved_case_mean", "more of the reckoned time saved", 1),
)


def _ahead(rows: list[dict[str, Any]], rule: str, measure: str, sign: int, first: str) -> dict[str, float]:
    """Values of the workflows that are ahead of the first at a rule, the best first."""
    at_rule = {row["workflow"]: row[measure] for row in rows if row["rule"] == rule}
    if first not in at_rule:
        return {}
    ahead = [(name, value) for name, value in at_rule.items() if sign * value > sign * at_rule[first]]
    return dict(sorted(ahead, key=lambda one: -sign * one[1]))


def _rows(table: Table) -> list[dict[str, Any]]:
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]
