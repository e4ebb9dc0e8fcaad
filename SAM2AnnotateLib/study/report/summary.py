"""The first chapter of the report: what was asked, and the answers of the other chapters. Imports study.folder and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ... import __version__
from ..records.folder import Study
from ..records.results import StudyResults
from .report_page import Section


def summary_section(study: Study, results: StudyResults, sections: Sequence[Section]) -> Section:
    """Made of `Section.summary` of all chapters."""
    finished, total = (sum(getattr(one, name) for one in results.progress) for name in ("finished", "total"))
    notes = () if finished == total else (f"Not finished: {finished:,} of {total:,} units of work. All numbers may change.",)
    cases, patients = len(study.cases), len({case.patient for case in study.cases})
    remarks = [
        "The annotator is simulated: it knows the truth and follows fixed rules; nobody was timed. Tests are two-tailed, over cases, and "
        "corrected by Holm's method."
    ]
    if patients < cases:
        remarks.append(f"The {cases} cases come from {patients} patients; the tests take cases as independent of each other.")
    answers = tuple(sentence for section in sections for sentence in section.summary)
    return Section("Summary", takeaways=answers, notes=notes, remarks=tuple(remarks))


def lead_of(study: Study) -> str:
    """What the study asks, on what, and with which model."""
    config, asked = study.config, []
    if config.scenarios:
        good = ", and is a model trained on the labels as good as one trained on the truth?" if config.models else "?"
        asked.append(f"How many masks of SAM 2 need no correction{good}")
    if config.comparison is not None:
        asked.append("Which way of working leaves the least to correct, with the same weights and the same rules of acceptance?")
    if config.corrections_saved is not None:
        asked.append("How many corrections does a model save that learns from what was annotated?")
    if config.prototypes is not None:
        asked.append("Does one prompt serve a data set?")
    if config.crowd is not None:
        asked.append("What are boxes of many people worth, through SAM 2's memory against one by one?")
    if not asked:
        asked.append("What is a prompt worth?")
    train, test = len(study.training_cases), len(study.test_cases)
    parts = f"{train} cases to annotate" + (f" and {test} to test on" if config.models else "")
    names = Counter(name for case in study.cases for name in case.values.values())
    labels = ", ".join(name if count == len(study.cases) else f"{name} in {count}" for name, count in names.items())
    return (
        f"{' '.join(asked)} Asked on {parts if config.scenarios else f'{train + test} cases'} ({labels}), with the model "
        f"'{config.model.checkpoint}' and SAM2AnnotateLib {__version__}."
    )
