"""How a benchmark tells growth: the powers it fits, the table and the picture it draws."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.growth import made_up_table, model_steps, points, published
from tests.benchmarks.growth.axes import climb
from tests.benchmarks.growth.curves import WORDS, Curves, exponent, exponents, markdown_table
from tests.benchmarks.growth.made_up_table import write_made_up_table
from tests.benchmarks.growth.picture import picture


@given(power=st.floats(-2, 3), factor=st.floats(1e-6, 1e3))
def test_a_power_law_has_its_power_whatever_its_factor(power: float, factor: float) -> None:
    grown = {size: factor * size**power for size in (10, 32, 100, 316, 1_000)}
    assert exponent(grown) == pytest.approx(power, abs=1e-9)


def test_one_point_has_no_power_and_nothing_has_none() -> None:
    assert exponent({10: 1.0, 100: 0.0}) is None
    assert exponent({}) is None


def test_a_power_is_fitted_to_the_last_decades_of_an_axis_alone() -> None:
    """What a run of ten sites costs is mostly fixed, and says nothing of a thousand."""
    figures = {size: {"cpu_s": max(5.0, size / 20)} for size in (10, 32, 100, 316, 1_000)}
    told = exponents({"sites": {"clear": figures}})
    assert told == {"sites": {"clear": {"cpu_s": pytest.approx(1.0), "peak_bytes": None}}}


GROWN: dict[str, Curves] = {
    "sites": {
        "clear": {10: {"cpu_s": 0.2, "peak_bytes": 3e6}, 100: {"cpu_s": 20, "peak_bytes": 3e6}}
    },
    "rows": {"read": {1_000: {"cpu_s": 0.001}, 100_000: {"cpu_s": 0.1}}},
}


def test_the_table_of_growth_tells_the_largest_point_and_the_powers() -> None:
    assert markdown_table(GROWN).splitlines()[2:] == [
        "| sites | a run of one round, in the clear | 100 | 20 s | 2.00 | 3 MB | 0.00 |",
        "| rows | read and check the table | 100,000 | 100 ms | 1.00 |  |  |",
    ]


def test_a_page_gets_the_table_of_growth_in_its_place_and_keeps_the_rest() -> None:
    page = f"before\n{published.BEGIN}\n\n| old |\n\n{published.END}\nafter\n"
    with_table = published.page_with_table(page, "| new |")
    assert with_table == page.replace("old", "new")
    with pytest.raises(ValueError, match="a page needs"):
        published.page_with_table("before\nafter\n", "| new |")


def test_the_page_shows_the_table_and_the_picture_of_the_figures_that_are_kept() -> None:
    kept = published.published_figures()
    page = published.PAGE.read_text()
    assert published.page_with_table(page, markdown_table(kept)) == page
    drawn = published.PICTURE.read_text()
    assert f"({published.PICTURE.name})" in page
    assert all(f">{text}<" in drawn for axis in kept for text in WORDS[axis].values())
    assert len(drawn) < 100_000


def test_the_picture_of_growth_loads_nothing_and_has_a_paper_of_its_own() -> None:
    """So it can be read on a dark page too."""
    drawn = picture(GROWN)
    assert "fill: #ffffff" in drawn
    assert not re.search(r"<(image|script|foreignObject)\b|href=\"(?!#)|url\((?!#)", drawn)


def test_a_size_that_would_not_end_in_time_is_not_begun(tmp_path: Path) -> None:
    begun: list[int] = []

    def measure(size: int, _folder: Path, _until: float) -> dict[str, dict[str, float]]:
        begun.append(size)
        time.sleep(0.01)
        return {"clear": {"cpu_s": 1.0}}

    found = climb(measure, (1, 1_000_000), tmp_path, until=time.monotonic() + 60)
    assert begun == [1]
    assert found == {"clear": {1: {"cpu_s": 1.0}}}


@pytest.mark.parametrize("step", [("clear",), ("seal", "add", "open")])
def test_every_step_with_a_model_of_a_size_is_measured(
    step: tuple[str, ...], tmp_path: Path
) -> None:
    for name in step:
        figures = model_steps.STEPS[name](20_000, tmp_path)
        assert figures["cpu_s"] > 0
        assert figures["peak_bytes"] >= 0


def test_what_a_site_does_with_a_made_up_table_is_measured(tmp_path: Path) -> None:
    for name, n_rows in (("small.csv", 200), ("large.csv", 2_000)):
        write_made_up_table(tmp_path / name, n_rows)
    point = points.rows(tmp_path / "small.csv", tmp_path / "large.csv", tmp_path)
    assert set(point) == set(WORDS["rows"])


def test_a_made_up_table_of_more_parts_has_every_row_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_up_table, "ROWS_OF_PART", 30)
    write_made_up_table(tmp_path / "table.csv", 70)
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [str(row // 10) for row in range(70)]
