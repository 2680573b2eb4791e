import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from consortium.report.elements.blocks import Plot
from consortium.report.plots import style as plots
from consortium.report.plots.boosting import draw_losses
from consortium.report.plots.curves import (
    Reliability,
    draw_histogram,
    draw_reliability,
    draw_roc,
    draw_two_groups,
)
from consortium.report.plots.intervals import Change, Row, draw_changes, draw_rows
from consortium.report.plots.rounds import Course, Level, draw_course, spread_labels

ODD = 'a<b>&"NT$ 1$'

ROWS = [
    Row(label=ODD, text="0.75 (0.7-0.8)", value=0.75, low=0.7, high=0.8, role="together"),
    Row(label="north", text="0.72", value=0.72, low=0.7, high=0.74, middle=(0.71, 0.73)),
]
COURSE = Course(
    rounds=[0, 1, 2, 3],
    values=[0.5, 0.70, 0.72, 0.725],
    errors=[0.0, 0.01, 0.01, 0.0],
    name=f"Together {ODD}",
    sites={"north": [(0, 0.48), (2, 0.71)]},
    levels=[Level(name="Best alone", value=0.722, role="one")],
)
RELIABILITY = Reliability(
    predicted=[0.1, 0.5],
    observed=[0.2, 0.45],
    counts=[10, 90],
    bounds=(0.0, 1.0),
    intervals=[(0.1, 0.4), (0.35, 0.55)],
)
CURVE = ([0.0, 0.1, 0.4, 1.0], [0.0, 0.6, 0.8, 1.0])
GROUPS = ((0.1, 0.9), (0.8, 0.2))

PICTURES: dict[str, Callable[[int], Figure]] = {
    "rows": lambda width: draw_rows(ROWS, "AUC", width, mark=0.75),
    "changes": lambda width: draw_changes(
        [Change(label=ODD, text="up", before=0.7, after=0.72, better=True)], "AUC", width
    ),
    "course": lambda width: draw_course(COURSE, "AUC", width),
    "roc": lambda width: draw_roc({ODD: CURVE, "other": CURVE}, width),
    "reliability": lambda width: draw_reliability(RELIABILITY, (ODD, "observed"), width),
    "groups": lambda width: draw_two_groups((0, 0.5, 1), GROUPS, (ODD, "no"), "score", width),
    "losses": lambda width: draw_losses([1.05, 0.9, 0.85], ODD, width),
    "histogram": lambda width: draw_histogram((-1e6, 0, 1e6), (3, 4), ODD, width),
}


def settings() -> dict[str, Any]:
    """Return matplotlib's settings without the backend: reading that one would select a backend."""
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


def pictured(draw: Callable[[int], Figure]) -> Plot:
    return plots.full_width_plot("name", draw, title="Title", alt="Alt")


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_the_same_data_give_the_same_bytes(draw: Callable[[int], Figure]) -> None:
    assert pictured(draw) == pictured(draw)


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_as_wide_as_asked_and_refers_to_nothing_outside(
    draw: Callable[[int], Figure],
) -> None:
    plot = pictured(draw)
    for svg, width in ((plot.wide, plots.WIDE), (plot.narrow, plots.NARROW)):
        assert re.match(r"<svg [^>]*width=\"([0-9.]+)pt\"", svg)[1] == f"{width * 0.75:g}"  # type: ignore[index]
        assert not re.search(r"<(image|script|foreignObject|a)\b|href=\"(?!#)|url\((?!#)", svg)
        assert "<!DOCTYPE" not in svg


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_text_is_text_escaped_and_never_a_formula(draw: Callable[[int], Figure]) -> None:
    svg = pictured(draw).wide
    assert 'a&lt;b&gt;&amp;"NT$ 1$' in svg or "a&lt;b&gt;&amp;&quot;NT$ 1$" in svg
    assert ODD not in svg


@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
def test_drawing_leaves_no_trace_in_the_library(draw: Callable[[int], Figure]) -> None:
    before = settings()
    pictured(draw)
    assert settings() == before


def test_large_numbers_have_their_thousands_apart() -> None:
    svg = pictured(PICTURES["histogram"]).wide
    assert "1,000,000<" in svg
    assert "\N{MINUS SIGN}1,000,000<" in svg


def test_one_curve_has_no_legend_and_several_are_told_apart_without_colour() -> None:
    one = pictured(lambda width: draw_roc({"only": CURVE}, width)).wide
    several = pictured(PICTURES["roc"]).wide
    assert "only" not in one
    assert several.count("stroke-dasharray") > one.count("stroke-dasharray")


def test_a_curve_of_many_points_is_thinned_and_keeps_its_ends() -> None:
    many = [step / 5000 for step in range(5001)]
    fine = pictured(lambda width: draw_roc({"": (many, many)}, width)).wide
    coarse = pictured(lambda width: draw_roc({"": ([0.0, 1.0], [0.0, 1.0])}, width)).wide
    assert len(fine) < len(coarse) + 12_000
    ends = re.findall(r"M ([0-9.]+ [0-9.]+) L", coarse)[-1]
    assert ends in fine


def test_a_start_far_off_is_left_outside_the_picture() -> None:
    assert COURSE.value_limits is not None
    low, high = COURSE.value_limits
    assert 0.5 < low < 0.70
    assert high > 0.725


@pytest.mark.parametrize("values", [[0.5, 0.6, 0.7], [0.1, 0.7]])
def test_a_start_near_by_or_with_one_more_point_is_shown(values: list[float]) -> None:
    rounds = list(range(len(values)))
    assert (
        Course(rounds=rounds, values=values, errors=[0.0] * len(values), name="x").value_limits
        is None
    )


PLACES = st.lists(st.floats(0, 300), min_size=1, max_size=6).map(
    lambda found: sorted(found, reverse=True)
)


@given(PLACES)
def test_labels_never_overlap_and_keep_their_mean(places: list[float]) -> None:
    found = spread_labels(places, 20)
    assert all(higher - lower >= 20 - 1e-6 for higher, lower in pairwise(found))
    assert sum(found) == pytest.approx(sum(places), abs=1e-6)


def test_labels_that_do_not_overlap_stay() -> None:
    assert spread_labels([100.0, 50.0, 10.0], 20) == [100.0, 50.0, 10.0]


@given(name=st.text(max_size=80), most=st.integers(2, 40))
def test_a_shortened_name_fits_and_shows_that_it_was_cut(name: str, most: int) -> None:
    short = plots.truncated_name(name, most)
    assert len(short) <= most
    assert short == name or (
        short.endswith("\N{HORIZONTAL ELLIPSIS}") and name.startswith(short[:-1])
    )
