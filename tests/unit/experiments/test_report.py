"""Estimates are honest, and what an experiment leaves says the same in every form."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from nbf.experiments.report import Column, Estimate, Report, Table, bars, beside, lines

NAN = float("nan")
COLUMNS = (Column("error, mm", "error"), Column("median, mm", "error", "median"), Column("met, %", "met", factor=100))


def report(**galleries: Image.Image) -> Report:
    draw = torch.Generator().manual_seed(0)
    results = {
        "one": {"error": 50 + 10 * torch.randn(40, generator=draw), "met": torch.full((40,), 0.5)},
        "other": {"error": torch.tensor([12.0])},
    }
    table = Table.of("A table", COLUMNS, results)
    pictures = {name: lambda picture=picture: picture for name, picture in galleries.items()}
    return Report("A question?", [table], bars(table), ["It is so."], pictures)


def test_mean_lies_in_its_interval():
    scores = torch.randn(50, generator=torch.Generator().manual_seed(1))
    estimate = Estimate.of(scores)
    assert estimate.value == pytest.approx(float(scores.mean()), abs=1e-6)
    assert estimate.low < estimate.value < estimate.high


def test_interval_is_that_of_the_normal_distribution():
    # Of many people's mean: 1.96 standard errors to either side.
    scores = torch.randn(2000, generator=torch.Generator().manual_seed(2))
    estimate, error = Estimate.of(scores), float(scores.std()) / 2000**0.5
    assert estimate.high - estimate.value == pytest.approx(1.96 * error, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(1.96 * error, rel=0.1)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_interval_has_the_truth_in_it_as_often_as_it_says(statistic):
    draw = torch.Generator().manual_seed(3)
    estimates = [Estimate.of(torch.randn(60, generator=draw), statistic) for _ in range(200)]
    inside = sum(each.low <= 0 <= each.high for each in estimates) / len(estimates)
    assert 0.89 <= inside <= 0.99


def test_people_without_a_score_are_left_out():
    scores = torch.randn(30, generator=torch.Generator().manual_seed(4))
    assert Estimate.of(torch.cat([scores, torch.tensor([NAN, NAN])])) == Estimate.of(scores)
    assert (
        torch.tensor([vars(Estimate.of(torch.tensor([NAN])))[name] for name in ("value", "low", "high")]).isnan().all()
    )


def test_more_people_make_it_surer():
    scores = torch.randn(1600, generator=torch.Generator().manual_seed(5))
    few, many = (Estimate.of(scores[:count]) for count in (100, 1600))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.3)


def test_same_scores_same_interval():
    scores = torch.rand(20)
    assert Estimate.of(scores) == Estimate.of(scores.clone())


def test_page_and_numbers_agree(tmp_path):
    made = report()
    page, numbers, plot = made.write(tmp_path, "made", {"command": "nbf experiment made"})
    text, read = page.read_text(), json.loads(numbers.read_text())
    rows = {}
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            rows[name] = cells
    said = read["tables"][0]["rows"]
    assert list(rows) == list(said) == ["one", "other"]
    for name, cells in rows.items():
        for cell, (value, low, high) in zip(cells, [each or (None,) * 3 for each in said[name].values()], strict=True):
            if value is None:
                assert cell == ""
            else:
                numbers_said = [float(word) for word in cell.replace("(", "").replace(")", "").split() if word != "to"]
                expected = [value] if low == high else [value, low, high]
                assert numbers_said == pytest.approx(expected, abs=0.051)
    assert read["findings"] == ["It is so."]
    assert "It is so." in text
    assert read["command"] in text
    assert Image.open(plot).size[0] > 500


def test_galleries_are_written_and_shown(tmp_path):
    paths = report(worst=Image.new("RGB", (7, 5))).write(tmp_path, "made", {})
    assert [path.name for path in paths] == ["made.md", "made.json", "made.png", "made-worst.webp"]
    assert Image.open(paths[-1]).size == (7, 5)
    assert "(made-worst.webp)" in paths[0].read_text()


def test_files_appear_whole_or_not_at_all(tmp_path):
    def broken() -> Image.Image:
        raise RuntimeError("no picture")

    made = report()
    with pytest.raises(RuntimeError, match="no picture"):
        Report(made.title, made.tables, made.plot, made.findings, {"worst": broken}).write(tmp_path, "made", {})
    assert {path.name for path in tmp_path.iterdir()} == {"made.md", "made.json", "made.png"}


def test_a_plot_has_a_panel_for_each_of_several(tmp_path: Path):
    points = [(0.0, Estimate(1, 0.5, 1.5)), (1.0, Estimate(2, 1.5, 2.5))]
    plots = {name: lines({"a": points, "b": points}, "strength", "mm") for name in ("one", "two", "three")}
    figure = pytest.importorskip("matplotlib.figure").Figure()
    beside(plots, 2)(figure)
    panels = [panel for panel in figure.subfigs if panel.axes]
    assert [panel.get_suptitle() for panel in panels] == ["one", "two", "three"]
    assert all(len(panel.axes[0].lines) == 2 for panel in panels)
