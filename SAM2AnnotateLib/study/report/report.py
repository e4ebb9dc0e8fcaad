"""Write the report of a study: one self-contained page and a CSV for each table. Imports the sections, the page, atomic_files, errors."""

from __future__ import annotations

from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import OutputError
from ..records.folder import Study
from ..records.result_reader import read_results
from .report_page import page_html
from .sections import report_sections
from .summary import lead_of

REPORT_FILE = "report.html"
# Every table that a report may have, see `sections`.
TABLE_NAMES = (
    "prompts", "prompts_volume", "clicks", "calibration", "calibration_curves", "scenarios", "models", "training", "workload_quality",
    "doubt_calibration", "doubt_together",
    "workflows", "comparison", "comparison_paired", "comparison_verdicts", "comparison_labels", "comparison_cases",
    "comparison_all_cases", "worst_first", "corrections_saved", "one_volume", "one_volume_total", "prompt_learning", "auto_prompts",
    "prototypes", "crowd", "crowd_loss", "crowd_people", "settings", "versions", "runs", "progress", "cases",
)  # fmt: skip


def write_report(study: Study) -> Path:
    """Write FOLDER/report/report.html and the tables beside it; possible at any time, however much is finished.

    Nothing is written before all of it is made. Each file is then replaced whole, the page last; tables of an older report that this one
    does not have are removed. The same results give the same bytes: the only times in it are those of the log.

    Returns:
        The page.

    Raises:
        InputError: if a result, a case or its files cannot be read.
        MissingPackageError: if scipy, Matplotlib, Pillow or SimpleITK is not installed.
        OutputError: if the folder cannot be written to.
    """
    results = read_results(study)
    sections = report_sections(study, results)
    page = page_html(f"Study {study.config.name}", lead_of(study), sections)
    tables = {f"{table.name}.csv": table.csv_text() for section in sections for table in section.tables}
    folder = study.folder / "report"
    try:
        folder.mkdir(exist_ok=True)
        for name in set(TABLE_NAMES) - {name.removesuffix(".csv") for name in tables}:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot write the report to '{folder}': {exc.strerror or exc}.") from exc
    for name, text in sorted(tables.items()):
        write_text_atomically(folder / name, text)
    write_text_atomically(folder / REPORT_FILE, page)
    return folder / REPORT_FILE
