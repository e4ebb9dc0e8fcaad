"""The report: one self-contained page and its CSV files, at any time, the same bytes for the same results."""

from __future__ import annotations

import base64
import csv
import io
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from patients import names_in
from study_results import EVIL, a_study, finish_scenarios, write_log

from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.result_reader import read_results
from SAM2AnnotateLib.study.report.example_slices import LABEL_COLOR, TRUTH_COLOR, example_objects, shown_positions
from SAM2AnnotateLib.study.report.report import TABLE_NAMES, write_report
from SAM2AnnotateLib.study.report.report_page import Section, page_html
from SAM2AnnotateLib.study.tables.tables import Column, Table

for package in ("scipy", "SimpleITK", "yaml", "matplotlib"):
    pytest.importorskip(package)
image_module = pytest.importorskip("PIL.Image")

# Of the parts that learn, which `test_study_learning` runs and looks at.
LEARNING_TABLES = {"corrections_saved", "one_volume", "one_volume_total", "prompt_learning", "auto_prompts", "prototypes"}
CROWD_TABLES = {"crowd", "crowd_loss", "crowd_people"}
ALL = ("prompts", "calibration", "scenarios", "comparison", "models")
_WITHOUT_END = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Checks that every element is closed, and keeps headings, tables and pictures."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.tables: dict[str, list[list[str]]] = {}
        self.headings: list[str] = []
        self.pictures: list[bytes] = []
        self.links: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        values = dict(attributes)
        self.links += [values[name] for name in ("src", "href") if name in values]
        if tag == "img":
            self.pictures.append(base64.b64decode(values["src"].removeprefix("data:image/png;base64,")))
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag == "h2":
            self.headings.append("")
        if tag not in _WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._name] = self._rows

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self._rows[-1][-1] += data
        if self.open and self.open[-1] == "h2":
            self.headings[-1] += data
        if self.open[-3:] == ["caption", "span", "a"]:
            self._name = data


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Study:
    study = a_study(tmp_path_factory.mktemp("made_up") / "study", *ALL)
    write_report(Study.open(study.folder))
    return study


@pytest.fixture(scope="module")
def page(whole) -> Page:
    return Page((whole.folder / "report" / "report.html").read_text(encoding="utf-8"))


def csv_rows(study: Study, name: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO((study.folder / "report" / name).read_text(encoding="utf-8"))))


# --- the page


def test_a_study_without_nnunets_speaks_of_none(tmp_path):
    made = a_study(tmp_path / "study", "prompts", "calibration", "scenarios")
    text = (made.folder / "study.yaml").read_text(encoding="utf-8")
    (made.folder / "study.yaml").write_text(text[: text.index("downstream:")], encoding="utf-8")
    page = write_report(Study.open(made.folder)).read_text(encoding="utf-8").lower()
    made_by = page[: page.index("the configuration: study.yaml")]
    assert "workload against quality" in made_by
    for word in ("nnu-net", "nnunet", "models trained", "of the models", "model dsc", "their model"):
        assert word not in made_by, made_by[made_by.index(word) - 200 : made_by.index(word) + 50]


def test_the_page_stands_alone(page):
    outside = [link for link in page.links if not link.startswith(("data:image/png;base64,", "#")) and "/" in link]
    assert outside == []
    assert not page.tags & {"script", "link", "iframe", "object"}


def test_every_link_to_a_table_has_its_file(whole, page):
    tables = {link for link in page.links if link.endswith(".csv")}
    assert {f"{name}.csv" for name in set(TABLE_NAMES) - LEARNING_TABLES - CROWD_TABLES} == tables
    assert names_in(whole.folder / "report") == sorted([*tables, "report.html"])


def test_all_chapters_are_there(page):
    assert page.headings == [
        "Summary", "Prompts", "Calibration", "Workload of the scenarios", "Example slices", "Models trained on the labels",
        "Workload against quality", "What was expected of the slices", "Workflows compared", "How it was made",
        "The configuration: study.yaml",
    ]  # fmt: skip
    assert len(page.pictures) == 11
    for png in page.pictures:
        with image_module.open(io.BytesIO(png)) as picture:
            assert picture.format == "PNG" and 400 < picture.width < 1700


def test_names_and_configuration_are_escaped(whole, page):
    text = (whole.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in text and "tail <b>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "A &lt;made up&gt; problem." in text
    assert EVIL in {row[1] for row in page.tables["scenarios.csv"]}


def test_the_page_shows_the_values_of_the_csv(whole, page):
    shown, written = page.tables["scenarios.csv"], csv_rows(whole, "scenarios.csv")
    assert len(shown) == len(written) == 1 + 3 * 3
    header = written[0]
    for cells, row in zip(shown[1:], written[1:], strict=True):
        values = dict(zip(header, row, strict=True))
        assert cells[:2] == [values["scenario"], values["label"]]
        assert cells[5] == f"{100 * float(values['accepted_share']):.1f} %"
        assert cells[6].replace(",", "") == values["corrected_pixels"]
        assert cells[-2].split(" ")[0] == f"{float(values['dsc_median']):.3f}"


def test_numbers_are_aligned_to_the_right():
    table = Table("t", "", (Column("a", "A"), Column("b", "B", "count")), (("x", 1),))
    text = page_html("", "", [Section("s", tables=(table,))])
    assert '<td class="short">x</td><td class="number">1</td>' in text


def test_question_and_answers_stand_first(whole):
    text = (whole.folder / "report" / "report.html").read_text(encoding="utf-8")
    lead = text[: text.index("<nav>")]
    assert "How many masks of SAM 2 need no correction, and is a model trained on the labels as good as one trained on the truth?" in lead
    assert "Asked on 4 cases to annotate and 8 to test on (head, tail" in lead
    summary = unescape(text[text.index('id="s0"') : text.index('id="s1"')])
    assert "Accepted unchanged: 100.0 % of the slices with 'none', 80.0 % of the slices with 'low' and 40.0 %" in summary
    assert "with 'paper', stock SAM 2 in study A's way (p = 0.00" in summary
    assert "Not finished: 92 of 96 units of work." in summary  # four sweeps are not
    assert "nobody was timed" in summary


def test_where_minutes_stand_it_is_said_that_they_are_reckoned(whole):
    text = (whole.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert text.count("Minutes and time saved are reckoned, not measured: 10 s to find an object, 3.3 s a box") == 2


def test_a_long_table_is_folded_and_a_hidden_column_is_for_the_csv():
    columns = (Column("a", "A"), Column("b", "Hidden", "count", shown=False))
    table = Table("t", "Many.", columns, tuple(("x", number) for number in range(41)))
    text = page_html("", "", [Section("s", tables=(table,))])
    assert "<summary>Many. 41 rows</summary>" in text
    assert "Hidden" not in text and text.count("<tr>") == 42
    assert table.csv_text().splitlines()[:2] == ["a,b", "x,0"]


# --- at any time


def test_a_study_that_has_not_begun_has_a_report(tmp_path):
    study = a_study(tmp_path / "study")
    page = Page(write_report(study).read_text(encoding="utf-8"))
    assert page.pictures == []
    assert page.headings == [
        "Summary", "Prompts", "Calibration", "Workload of the scenarios", "Models trained on the labels", "Workflows compared",
        "How it was made", "The configuration: study.yaml",
    ]  # fmt: skip
    assert set(page.tables) == {"workflows.csv", "settings.csv", "versions.csv", "runs.csv", "progress.csv", "cases.csv"}


def test_what_is_half_done_says_so(tmp_path):
    study = a_study(tmp_path / "study", "calibration")
    finish_scenarios(study, ("none",), most_cases=1)
    text = write_report(Study.open(study.folder)).read_text(encoding="utf-8")
    assert "Not finished: &#39;scenarios&#39; with 1 of 12 units; the one furthest behind has 0 of 4 cases." in text
    assert "Not finished: &#39;models&#39; with 0 of 4 models." in text
    page = Page(text)
    assert [row[:4] for row in page.tables["scenarios.csv"][1:2]] == [["none", "all", "1", "2"]]
    assert len(page.pictures) == 6  # calibration, bars, two examples, quality, what was expected


def test_a_stage_that_the_configuration_leaves_out_has_no_chapter(tmp_path):
    study = a_study(tmp_path / "study")
    path = study.folder / "study.yaml"
    kept = path.read_text(encoding="utf-8").split("calibration:")[0].replace("prompts: [box, dot, clicks]\n", "")
    path.write_text(kept, encoding="utf-8")
    page = Page(write_report(Study.open(study.folder)).read_text(encoding="utf-8"))
    assert page.headings == ["Summary", "How it was made", "The configuration: study.yaml"]


def test_a_table_of_an_older_report_does_not_stay(tmp_path):
    study = a_study(tmp_path / "study", "prompts")
    write_report(Study.open(study.folder))
    (study.folder / "report" / "mine.csv").write_text("1\n", encoding="utf-8")
    for case_id in study.case_ids_of("prompts"):
        study.unit_file("prompts", case_id).unlink()
    write_report(Study.open(study.folder))
    names = names_in(study.folder / "report")
    assert "prompts.csv" not in names and "mine.csv" in names


def test_the_same_results_give_the_same_bytes(tmp_path):
    study = a_study(tmp_path / "study", "prompts", "calibration", "scenarios")
    write_log(study, {"time": "2026-11-21T16:00:00+00:00", "event": "run started"})
    first, second = (_bytes_of(write_report(Study.open(study.folder)).parent) for _ in range(2))
    assert first == second


def test_a_report_that_cannot_be_made_leaves_the_older_one(tmp_path):
    study = a_study(tmp_path / "study", "prompts")
    write_report(Study.open(study.folder))
    before = _bytes_of(study.folder / "report")
    study.write("prompts", "case_00", {"objects": [{}]}, 1.0)
    with pytest.raises(InputError, match="does not hold a result"):
        write_report(Study.open(study.folder))
    assert _bytes_of(study.folder / "report") == before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    study = a_study(tmp_path / "study")
    (study.folder / "report").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError, match="Cannot write the report to '.*report': File exists"):
        write_report(study)


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- example slices


def test_the_median_and_the_worst_object_are_shown(whole):
    scenarios = read_results(whole).scenarios
    (what, median), (other, worst) = example_objects(scenarios)
    assert (what, other) == ("median", "worst")
    assert (median.key.case, median.key.label, worst.key.case, worst.key.label) == ("case_02", 1, "case_00", 1)


def test_an_object_that_a_scenario_lacks_is_no_example(whole):
    scenarios = dict(read_results(whole).scenarios)
    scenarios["low"] = tuple(one for one in scenarios["low"] if one.key.case == "case_03")
    assert [one.key.case for _, one in example_objects(scenarios)] == ["case_03", "case_03"]
    scenarios["low"] = scenarios["low"][:1]
    assert [what for what, _ in example_objects(scenarios)] == ["median"]
    assert example_objects({**scenarios, "low": ()}) == []
    assert example_objects({}) == []


def test_slices_at_a_quarter_the_center_and_three_quarters_are_shown(whole):
    from SAM2AnnotateLib.geometry import SliceStack
    from SAM2AnnotateLib.simulation.objects import StackedTruth, truth_objects
    from SAM2AnnotateLib.volume_io import read_volume

    labels = read_volume(whole.cases[0].labels)
    (one,), _ = truth_objects(labels.array_kji, (1,))
    truth = StackedTruth.of(one, SliceStack.along(labels.grid))
    assert (truth.extent.first, truth.extent.last) == (1, 10)
    assert shown_positions(truth) == [3, truth.center, 8]


def test_outlines_of_truth_and_label_are_drawn(page):
    with image_module.open(io.BytesIO(page.pictures[4])) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    for color in (TRUTH_COLOR, LABEL_COLOR):
        assert (pixels == color).all(axis=-1).sum() > 9 * 100  # nine tiles


def test_a_label_map_of_another_object_is_an_error(tmp_path):
    study = a_study(tmp_path / "study", "calibration", "scenarios")
    path = study.unit_file("scenarios/low", "case_02").with_suffix(".nii.gz")
    path.write_bytes(study.cases[0].image.read_bytes()[:50])
    with pytest.raises(InputError, match="case_02"):
        write_report(Study.open(study.folder))
