"""The files of a report, from hand-made results."""

import csv
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from report_cases import make_report, make_result

from edgeseg.errors import OutputError, UsageError
from edgeseg.report.chart import chart
from edgeseg.report.csv_table import COLUMNS, csv_table
from edgeseg.report.figures import how_run
from edgeseg.report.html import html_page
from edgeseg.report.markdown import markdown_page
from edgeseg.report.record import report_record
from edgeseg.report.scatter import scatter_plot
from edgeseg.report.write import write_report

VOID = {"meta", "link", "img", "wbr", "br"}


class Page(HTMLParser):
    """An HTML page taken apart: every tag closed, and what it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        self.references += [values[name] for name in ("src", "href", "data", "action") if name in values]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault(values["class"], [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs) -> None:
        pass

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


# === HTML ===


def test_the_page_is_one_file_that_refers_to_nothing_outside(report) -> None:
    text = html_page(report)
    assert all(reference.startswith("data:") for reference in Page(text).references)
    assert "url(" not in text
    assert not re.search(r"(?i)https?://|@import|fetch\(|//cdn", text)


def test_names_cannot_break_the_page(report) -> None:
    text = html_page(report)
    assert "<script>alert" not in text
    assert "<b>cloud" not in text
    assert "<rev" not in text
    page = Page(text)
    assert '<script>alert("1")</script>|x' in page.text
    assert "--out out/<x>" in page.text
    assert "Raspberry Pi 5 <rev 1.0>" in page.text


def test_the_table_of_results(report) -> None:
    heading, first, second, third = Page(html_page(report)).tables["sortable"]
    assert heading[:6] == ["#", "model", "recipe", "input", "mIoU %", "pixel acc. %"]
    assert first == [
        "1", "deeplab_mobilenetv2_camvid_240x320_int8_ptq", "int8_ptq", "240x320", "67.6", "90.0", "7.40", "11.0",
        "1.00", "–", "–", "1 thread, xnnpack",
    ]  # fmt: skip
    assert second[-3:] == ["0.36", "1900", "1 thread, xnnpack"]
    assert third[2] == "–"


def test_how_it_was_run_is_a_column_only_where_it_differs(report) -> None:
    same = dataclasses.replace(report, results=report.results[:2])
    assert "run with" not in Page(html_page(same)).tables["sortable"][0]


def test_the_best_are_marked(report) -> None:
    rows = re.findall(r"<tr[^>]*><td>(\d)</td>", html_page(report))
    best = re.findall(r'<tr class="best"><td>(\d)</td>', html_page(report))
    assert (rows, best) == (["1", "2", "3"], ["1", "3"])


def test_the_table_of_classes_has_a_dash_where_a_class_does_not_occur(report) -> None:
    rows = Page(html_page(report)).tables["heat"]
    assert [row[0] for row in rows] == ["class", "road", "sky", "sky & <b>cloud</b>", "mIoU"]
    assert rows[2][1:] == ["10.0", "–", "–"]
    assert rows[-1][1:] == ["67.6", "65.1", "70.0"]
    assert "neither in the labels nor predicted" in html_page(report)
    assert "neither in the labels" not in html_page(dataclasses.replace(report, results=report.results[:1]))


def test_disturbances_are_told_and_their_absence_is_not(report) -> None:
    assert "p90 is 1.40 times p50 (unet_own_camvid_360x480_float32)" in Page(html_page(report)).text
    quiet = dataclasses.replace(report, results=report.results[:1])
    assert "disturbed" not in Page(html_page(quiet)).text


def test_images_are_in_the_page(report) -> None:
    assert html_page(report).count('src="data:image/jpeg;base64,/9j/2Q=="') == 2
    assert "To look at" not in html_page(dataclasses.replace(report, examples=()))


def test_the_colours_of_the_images_are_explained(report) -> None:
    text = html_page(report)
    assert '<i class="chip" style="background: rgb(128, 64, 128)"></i>road' in text
    assert 'style="background: rgb(70, 130, 180)"></i>sky &amp; &lt;b&gt;cloud&lt;/b&gt;' in text


def test_one_model_has_no_plot(report) -> None:
    page = html_page(dataclasses.replace(report, results=report.results[:1]))
    assert 'class="plot' not in page
    assert "7.40" in Page(page).text


# === The plot ===


def positions(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'class="mark[^"]*" transform="translate\(([\d.]+) ([\d.]+)\)"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_faster_is_left_and_more_accurate_is_up(report) -> None:
    (x1, y1), (x2, y2), (x3, y3) = positions(scatter_plot(report.results, 1000, 440))
    assert x1 < x2 < x3
    assert y3 < y1 < y2


@pytest.mark.parametrize(
    "points",
    [
        [(10, 0.5)],
        [(10, 0.5), (10, 0.5)],
        [(0.02, 0.0), (5000, 1.0)],
        [(10, 0.0), (11, 0.0)],
        [(i + 1, 0.5 + 0.01 * i) for i in range(30)],
    ],
    ids=["one", "the same twice", "extremes", "zero", "many"],
)
def test_everything_is_within_the_drawing(points) -> None:
    results = [make_result(model=f"model_{i}_of_many", latency_ms=ms, miou=m) for i, (ms, m) in enumerate(points)]
    for width, height in ((1000, 440), (400, 380)):
        svg = scatter_plot(results, width, height)
        ElementTree.fromstring(svg)
        assert len(positions(svg)) == len(points)
        assert all(50 <= x <= width - 15 and 25 <= y <= height - 40 for x, y in positions(svg))
        numbers = [float(n) for n in re.findall(r'(?:x|y)="([-\d.]+)"', svg)]
        assert all(-1 <= n <= width for n in numbers)
        assert svg.count('class="tick"') >= 5


def test_a_wide_range_of_latencies_is_drawn_logarithmically() -> None:
    assert "logarithmic" in scatter_plot([make_result(latency_ms=ms) for ms in (5, 50)], 1000, 440)
    assert "logarithmic" not in scatter_plot([make_result(latency_ms=ms) for ms in (20, 50)], 1000, 440)


def test_labels_do_not_cover_each_other() -> None:
    results = [make_result(model=f"model{i}_named_so", latency_ms=10 + i, miou=0.6 + 0.02 * i) for i in range(6)]
    texts = re.findall(
        r'class="name" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]+)<', scatter_plot(results, 1000, 440)
    )
    boxes = []
    for x, y, anchor, text in texts:
        width = 7.2 * len(text)
        left = float(x) - {"start": 0, "middle": width / 2, "end": width}[anchor]
        boxes.append((left, float(y) - 10, left + width, float(y)))
    assert len(boxes) == 6
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]


# === Markdown, CSV, JSON ===


def test_the_markdown_tables_have_equal_columns(report) -> None:
    text = markdown_page(report)
    for block in re.findall(r"(?m)(?:^\|.*\n)+", text):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert r"**deeplab\_mobilenetv2\_camvid\_240x320\_int8\_ptq**" in text
    assert "| 67.6 | 90.0 | 7.40 | 11.0 | 1.00 | – |" in text
    assert f"```sh\n{report.command}\n```" in text


def test_the_csv_has_a_row_a_model_and_a_column_a_class(report) -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(report))))
    assert list(rows[0]) == [*COLUMNS, "iou_road", "iou_sky", "iou_sky & <b>cloud</b>"]
    assert [row["file"] for row in rows] == ["m.tflite", "m.tflite", "a,b.tflite"]
    assert rows[0]["iou_sky"] == "0.1"
    assert rows[1]["iou_sky"] == ""
    assert rows[2]["parameters"] == ""
    assert [row["noisy"] for row in rows] == ["0", "1", "0"]


def test_the_json_has_the_keys_that_stay(report) -> None:
    record = report_record(report)
    assert {"model", "recipe", "miou", "latency_ms", "bytes"} <= set(record["results"][0])
    assert record["results"][0]["class_iou"] == {"road": 0.9, "sky": 0.1}
    assert [r["pareto"] for r in record["results"]] == [True, False, True]
    assert record["host"]["cores"] == 4


# === The chart ===


def test_the_chart_stands_by_itself(report) -> None:
    """An SVG that a browser shows without the page: names, marks and colours in it, nothing fetched."""
    root = ElementTree.fromstring(chart(report))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(report.results)
    assert all(result.model in title for result, title in zip(report.results, titles, strict=True))
    text = chart(report)
    assert "--int8_ptq:" in text
    assert "{%" not in text
    assert not re.search(r"(href|src|url)\W", text.replace("http://www.w3.org/2000/svg", ""))


def test_the_chart_tells_data_and_machine(report) -> None:
    assert f"{report.dataset}, {report.split}, {report.images} images" in chart(report)
    assert how_run(report.results[0]) in chart(report)


# === Writing ===


def test_the_files_are_written(tmp_path: Path, report) -> None:
    paths = write_report(report, tmp_path / "new")
    assert [p.name for p in paths] == ["report.html", "report.md", "report.svg", "report.csv", "report.json"]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == sorted(p.name for p in paths)
    assert json.loads(paths[4].read_text())["results"][1]["class_iou"] == {"road": 0.95, "sky": None}
    assert paths[0].read_text("utf-8") == html_page(report)


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_report(make_report(), tmp_path / "file")
    with pytest.raises(UsageError, match="no model"):
        write_report(dataclasses.replace(make_report(), results=()), tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
