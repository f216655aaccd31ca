"""Figures: what was measured, what it is compared with, what it should be, as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

WIDTH = 132


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One measurement, and the one beside it that it is a ratio of, if it is."""

    measured: float
    bare: float | None = None

    @property
    def value(self) -> float:
        return self.measured if self.bare is None else self.measured / self.bare


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The median over the rounds, with a goal that is a lower bound (`at_least`) or an upper one."""

    name: str
    unit: str
    rounds: Sequence[Round]
    goal: float
    at_least: bool = False

    @property
    def value(self) -> float:
        return median(one.value for one in self.rounds)

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def is_ratio(self) -> bool:
        return self.rounds[0].bare is not None


def print_figures(figures: Iterable[Figure]) -> None:
    """One line each; below it what every round gave."""
    table = Table("figure", "measured", "compared with", "ratio", "goal", "met", "rounds")
    for column in table.columns[1:5]:
        column.justify = "right"
    for figure in figures:
        table.add_row(figure.name, *_columns(figure), "yes" if figure.met else "no", _rounds(figure))
    Console(width=WIDTH).print(table)


def _columns(figure: Figure) -> tuple[str, str, str, str]:
    measured = _shown(median(one.measured for one in figure.rounds), figure.unit)
    bound = f"{'≥' if figure.at_least else '≤'} {figure.goal:g}"
    if not figure.is_ratio:
        return measured, "", "", f"{bound} {figure.unit}"
    bare = median(one.bare for one in figure.rounds if one.bare is not None)
    return measured, _shown(bare, figure.unit), f"{figure.value:.2f}", bound


def _rounds(figure: Figure) -> str:
    if not figure.is_ratio:
        return "  ".join(f"{one.measured:.3g}" for one in figure.rounds)
    return "  ".join(f"{one.measured:.4g}/{one.bare:.4g}" for one in figure.rounds)


def _shown(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
