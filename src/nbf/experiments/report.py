"""What an experiment leaves: one Markdown page with tables, the same numbers as JSON, a plot, and galleries."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from PIL import Image
from torch import Generator, Tensor

from nbf.errors import InputError
from nbf.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

RESAMPLES = 2000
LEVEL = 0.95
_QUALITY = 85  # of galleries, as WebP counts: 0 to 100
Statistic = Literal["mean", "median"]


@dataclass(frozen=True)
class Estimate:
    """A statistic over people, and between what it would be of other such people, 95 times in a hundred."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: Float[Tensor, " n"], statistic: Statistic = "mean") -> "Estimate":
        """By bootstrap over people (Efron 1979), percentiles of 2,000 resamples, always the same ones; people whose
        score is nan do not count."""
        scores = scores[~scores.isnan()].double()
        if not len(scores):
            return cls(float("nan"), float("nan"), float("nan"))
        measure: Callable[[Tensor], Tensor] = {
            "mean": lambda x: x.mean(-1),
            "median": lambda x: x.quantile(0.5, dim=-1),
        }[statistic]
        rows = torch.randint(len(scores), (RESAMPLES, len(scores)), generator=Generator().manual_seed(0))
        ends = measure(scores[rows]).quantile(torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2]).double())
        return cls(float(measure(scores)), float(ends[0]), float(ends[1]))


@dataclass(frozen=True)
class Column:
    """What of a case's scores a table shows."""

    title: str
    score: str
    statistic: Statistic = "mean"
    digits: int = 1
    factor: float = 1.0


@dataclass(frozen=True)
class Table:
    """Cases as lines, statistics of their scores as columns. A cell without an estimate stays empty."""

    title: str
    columns: Sequence[str]
    rows: dict[str, list[Estimate | str | None]]
    digits: Sequence[int]

    @classmethod
    def of(cls, title: str, columns: Sequence[Column], results: dict[str, dict[str, Tensor]]) -> "Table":
        """Scores that a case lacks leave their cells empty."""
        rows: dict[str, list[Estimate | str | None]] = {
            name: [
                Estimate.of(scores[each.score].float() * each.factor, each.statistic) if each.score in scores else None
                for each in columns
            ]
            for name, scores in results.items()
        }
        return cls(title, [each.title for each in columns], rows, [each.digits for each in columns])

    def markdown(self) -> str:
        """With the interval behind each number, where it has any width."""
        lines = [
            f"**{self.title}**",
            "",
            "| | " + " | ".join(self.columns) + " |",
            "|---|" + "---:|" * len(self.columns),
        ]
        for name, cells in self.rows.items():
            texts = [_cell(cell, digits) for cell, digits in zip(cells, self.digits)]
            lines.append(f"| {name} | " + " | ".join(texts) + " |")
        return "\n".join(lines)

    def numbers(self) -> dict[str, Any]:
        """As JSON has it: [value, low, high]."""

        def plain(cell: Estimate | str | None) -> Any:
            return [round(x, 4) for x in (cell.value, cell.low, cell.high)] if isinstance(cell, Estimate) else cell

        rows = {name: dict(zip(self.columns, map(plain, cells))) for name, cells in self.rows.items()}
        return {"title": self.title, "rows": rows}


def _cell(cell: Estimate | str | None, digits: int) -> str:
    if not isinstance(cell, Estimate):
        return cell or ""
    text = f"{cell.value:.{digits}f}"
    return text if cell.high == cell.low else f"{text} ({cell.low:.{digits}f} to {cell.high:.{digits}f})"


@dataclass(frozen=True)
class Report:
    """Tables, what they say, and how they are drawn."""

    title: str
    tables: Sequence[Table]
    plot: "Callable[[Figure], None]"
    """Draws onto an empty figure of matplotlib's."""
    findings: Sequence[str] = field(default_factory=list)
    """One sentence each, with its numbers: made by the same code, whatever they turn out to say."""
    galleries: dict[str, Callable[[], Image.Image]] = field(default_factory=dict)
    """Further pictures, by the names that their files end in: drawn when they are written."""

    def write(self, folder: Path, name: str, how: dict[str, Any]) -> list[Path]:
        """NAME.md, NAME.json, NAME.png and NAME-GALLERY.webp in a folder; `how` says by which command it was made.

        Raises InputError where matplotlib is missing.
        """
        page = [f"# {self.title}", "", *(f"- {each}" for each in self.findings), ""]
        for table in self.tables:
            page += [table.markdown(), ""]
        page += [f"![{self.title}]({name}.png)", ""]
        for gallery in self.galleries:
            page += [f"![{gallery}]({name}-{gallery}.webp)", ""]
        page += [f"{key}: {value}  " for key, value in how.items()]
        numbers = {"title": self.title, **how, "findings": list(self.findings)}
        numbers |= {"tables": [table.numbers() for table in self.tables]}
        paths = [folder / f"{name}.{kind}" for kind in ("md", "json", "png")]
        texts = (
            "\n".join(page).rstrip() + "\n",
            json.dumps(numbers, indent=1) + "\n",
        )
        for path, text in zip(paths, texts):
            with replacing(path) as draft:
                draft.write_text(text, encoding="utf-8")
        with replacing(paths[2]) as draft:
            figure = new_figure()
            self.plot(figure)
            figure.savefig(draft, dpi=110)
        for gallery, draw in self.galleries.items():
            paths.append(folder / f"{name}-{gallery}.webp")
            with replacing(paths[-1]) as draft:
                draw().save(draft, quality=_QUALITY)
        return paths


def new_figure() -> "Figure":
    """An empty figure. Raises InputError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "plots need matplotlib, which is not installed: pip install 'neural-body-fitting[experiments]'"
        ) from error
    return Figure(figsize=(8, 4.5), layout="constrained")


def bars(table: Table, column: int = 0, label: str = "") -> "Callable[[FigureBase], None]":
    """A plot: one bar a line of the table, as long as its column says, with the interval."""

    def plot(figure: "FigureBase") -> None:
        axes = figure.subplots()
        rows = {name: cells[column] for name, cells in table.rows.items()}
        shown = {name: cell for name, cell in rows.items() if isinstance(cell, Estimate)}
        values = [cell.value for cell in shown.values()]
        ends = [[cell.value - cell.low for cell in shown.values()], [cell.high - cell.value for cell in shown.values()]]
        axes.barh(list(shown), values, xerr=ends, color="#5b8db8", ecolor="#333333", capsize=3)
        axes.invert_yaxis()
        axes.set_xlabel(label or table.columns[column])
        axes.spines[["top", "right"]].set_visible(False)

    return plot


def lines(
    series: dict[str, list[tuple[float, Estimate]]], across: str, up: str, *, logarithmic: bool = False
) -> "Callable[[FigureBase], None]":
    """A plot: one line for each name, through estimates at places, with their intervals as bands."""

    def plot(figure: "FigureBase") -> None:
        axes = figure.subplots()
        for name, points in series.items():
            x, y = [place for place, _ in points], [estimate for _, estimate in points]
            (line,) = axes.plot(x, [each.value for each in y], marker="o", markersize=4, label=name)
            axes.fill_between(
                x, [each.low for each in y], [each.high for each in y], alpha=0.15, color=line.get_color()
            )
        if logarithmic:
            axes.set_xscale("symlog", linthresh=1)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.spines[["top", "right"]].set_visible(False)
        if len(series) > 1:
            axes.legend(frameon=False)

    return plot


def beside(plots: "dict[str, Callable[[FigureBase], None]]", columns: int) -> "Callable[[Figure], None]":
    """Several plots with their titles, so many in a row; where they have legends it is one for all."""

    def plot(figure: "Figure") -> None:
        rows = -(-len(plots) // columns)
        figure.set_size_inches(max(8.0, 3.5 * columns), max(4.5, 2.8 * rows))
        first, *others = panels = list(figure.subfigures(rows, columns, squeeze=False).flat)
        for panel, (title, draw) in zip(panels, plots.items()):
            draw(panel)
            panel.suptitle(title, fontsize="medium")
        handles, labels = first.axes[0].get_legend_handles_labels()
        free = panels[len(plots) :]
        for panel in panels if free else others:
            for axes in panel.axes:
                if legend := axes.get_legend():
                    legend.remove()
        if handles and free:
            free[0].legend(handles, labels, loc="center", frameon=False)

    return plot
