"""Refusals at the door are told together; none is lost, and the file does not grow."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.policy.refusal_windows import FILE, MOST_TOLD, WINDOW_S, RefusalWindows

NOON = 1_795_000_000.0


@given(
    asked=st.lists(st.tuples(st.integers(0, 40), st.integers(0, WINDOW_S // 2)), max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_every_refusal_is_told_once_by_itself_or_with_others(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]]
) -> None:
    """Two objects stand for two processes of the site."""
    folder = tmp_path_factory.mktemp("site") / "traffic"
    processes = RefusalWindows(folder), RefusalWindows(folder)
    now, alone, together = NOON, 0, 0
    by_window: dict[int, int] = {}
    for turn, (question, waited) in enumerate(asked):
        now += waited
        ended = processes[turn % 2].ended(now)
        together += ended.times if ended else 0
        if processes[(turn + 1) % 2].is_told(f"question {question}", now):
            alone += 1
            window = int(now // WINDOW_S)
            by_window[window] = by_window.get(window, 0) + 1
        assert (folder / FILE).stat().st_size < 2_048
    ended = processes[0].ended(now + WINDOW_S)
    assert alone + together + (ended.times if ended else 0) == len(asked)
    assert max(by_window.values(), default=0) <= MOST_TOLD
    assert processes[1].ended(now + WINDOW_S) is None


def test_what_is_told_together_has_its_first_and_its_last_time(tmp_path: Path) -> None:
    windows = RefusalWindows(tmp_path / "traffic")
    assert [windows.is_told("x", NOON + second) for second in range(5)] == [True, *4 * [False]]
    assert windows.ended(NOON + 5) is None
    ended = windows.ended(NOON + WINDOW_S)
    assert ended is not None
    assert (ended.times, ended.first, ended.last) == (4, NOON + 1, NOON + 4)


@pytest.mark.parametrize("held", [b"", b"\xff", b"{}", b'{"number": 1, "told": 3, "together": 0}'])
def test_a_file_that_cannot_be_read_counts_from_zero(tmp_path: Path, held: bytes) -> None:
    windows = RefusalWindows(tmp_path)
    (tmp_path / FILE).write_bytes(held)
    assert windows.is_told("x", NOON)
    assert not windows.is_told("x", NOON)
