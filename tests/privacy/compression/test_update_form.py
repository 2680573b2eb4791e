"""Laws of compression: nothing is lost for good, each codec keeps its bound, and its bytes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.compression.codecs import BadCompression, Codec, TopK, largest
from privacy.compression.plan import CompressionPlan, PruningPlan
from privacy.compression.update_form import UpdateForm
from privacy.layout import Field, Layout

CODECS = {
    name: CompressionPlan(name=name, share=0.3).codec
    for name in ("none", "float16", "int8", "top-k")
}
codecs = st.sampled_from(list(CODECS.values()))
sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)
values = st.floats(-1e4, 1e4, width=32)


def layout_of(lengths: list[int]) -> Layout:
    """Return a layout whose arrays have these lengths."""
    return Layout(fields=tuple(Field(f"a{place}", (size,)) for place, size in enumerate(lengths)))


@st.composite
def rounds(draw: st.DrawFn) -> tuple[UpdateForm, list[NDArray[np.float32]]]:
    """Return a form, and the updates of a site in some rounds."""
    layout = layout_of(draw(sizes))
    rows = st.lists(values, min_size=layout.dim, max_size=layout.dim)
    updates = [np.array(row, np.float32) for row in draw(st.lists(rows, min_size=1, max_size=6))]
    kept = draw(st.sets(st.integers(0, layout.dim - 1), min_size=1))
    places = np.array(sorted(kept)) if draw(st.booleans()) else None
    return UpdateForm(layout=layout, codec=draw(codecs), places=places), updates


@given(rounds())
def test_what_was_sent_and_what_is_left_are_all_updates(
    drawn: tuple[UpdateForm, list[NDArray[np.float32]]],
) -> None:
    """Error feedback loses nothing: all that was sent plus the memory is the sum of updates."""
    form, updates = drawn
    memory, sent = None, np.zeros(form.layout.dim)
    for update in updates:
        packed = form.pack(update, memory)
        memory, sent = packed.left, sent + form.read(packed.data)
    together = np.sum([one.astype(np.float64) for one in updates], axis=0)
    assert memory is not None
    # float32 rounds each of the additions, of numbers that may have piled up
    bound = 2.0**-23 * 4 * len(updates) ** 2 * max(float(np.abs(one).max()) for one in updates)
    np.testing.assert_allclose(sent + memory, together, atol=bound + 1e-30)


@given(rounds())
def test_the_bytes_are_those_that_were_said(
    drawn: tuple[UpdateForm, list[NDArray[np.float32]]],
) -> None:
    """How long an update is depends on its form alone: no length tells of its numbers."""
    form, updates = drawn
    assert {len(form.write(one)) for one in updates} == {form.num_bytes}


@pytest.mark.parametrize(
    ("name", "needed"), [("none", 4_000), ("float16", 2_000), ("int8", 1_008), ("top-k", 2_400)]
)
def test_a_thousand_numbers_of_two_arrays_take_so_many_bytes(name: str, needed: int) -> None:
    """Four, two or one byte a number, and eight for each of the largest."""
    form = UpdateForm(layout=layout_of([400, 600]), codec=CODECS[name])
    assert form.num_bytes == needed


@given(st.lists(values, min_size=1, max_size=30))
def test_each_number_is_off_by_no_more_than_its_codec_says(numbers: list[float]) -> None:
    """Sixteen bits are off by 2^-11 of a number; eight by 1/254 of the array's largest."""
    update = np.array(numbers, np.float32)
    layout = layout_of([update.size])

    def error(name: str) -> NDArray[np.float64]:
        form = UpdateForm(layout=layout, codec=CODECS[name])
        return np.abs(form.read(form.write(update)).astype(np.float64) - update)

    wide = np.abs(update.astype(np.float64))
    assert not error("none").any()
    assert (error("float16") <= np.maximum(2.0**-11 * wide, 2.0**-25)).all()
    assert (error("int8") <= wide.max() * (1 / 254 + 1e-6)).all()
    kept = TopK(0.3).count(update.size)
    lost = float((error("top-k") ** 2).sum())
    assert lost <= (1 - kept / update.size) * float((wide**2).sum()) * (1 + 1e-6)


@given(st.lists(values, min_size=1, max_size=30), st.data())
def test_the_largest_are_found_alike_everywhere(numbers: list[float], data: st.DataObject) -> None:
    """They are those of a stable sort: of equal numbers the first ones."""
    vector = np.array(numbers, np.float32)
    count = data.draw(st.integers(1, vector.size))
    expected = np.sort(np.argsort(-np.abs(vector), kind="stable")[:count])
    np.testing.assert_array_equal(largest(vector, count), expected)


def test_what_is_too_large_for_sixteen_bits_comes_later() -> None:
    """A number beyond the range is sent as the largest one, and the rest stays in the memory."""
    form = UpdateForm(layout=layout_of([1]), codec=CODECS["float16"])
    packed = form.pack(np.array([100_000.0]), None)
    assert form.read(packed.data).tolist() == [65_504]
    assert packed.left.tolist() == [34_496]


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_an_update_that_is_not_finite_is_not_packed(codec: Codec) -> None:
    """It would stay in the memory for ever."""
    form = UpdateForm(layout=layout_of([2]), codec=codec)
    with pytest.raises(BadCompression, match="finite"):
        form.pack(np.array([1.0, np.nan]), None)


def top_k(places: list[int], numbers: list[float]) -> bytes:
    """Return an update of the largest numbers, whatever its places."""
    return np.array(places, "<u4").tobytes() + np.array(numbers, "<f4").tobytes()


def eighths(scale: float, levels: list[int]) -> bytes:
    """Return an update in 8 bits, whatever its scale."""
    return np.array([scale], "<f4").tobytes() + np.array(levels, "i1").tobytes()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("top-k", top_k([0, 7], [1, 1]), "below it"),
        ("top-k", top_k([0, 2**32 - 1], [1, 1]), "below it"),
        ("top-k", top_k([3, 3], [1, 1]), "each once"),
        ("top-k", top_k([3, 1], [1, 1]), "in order"),
        ("top-k", top_k([3], [1]), "16 bytes"),
        ("int8", eighths(np.nan, [0] * 5), "scale"),
        ("int8", eighths(np.inf, [0] * 5), "scale"),
        ("int8", eighths(-1.0, [0] * 5), "scale"),
        ("int8", eighths(1.0, [-128] * 5), "level"),
        ("int8", eighths(1.0, [0] * 6), "9 bytes"),
        ("float16", b"", "10 bytes"),
        ("none", b"\0" * 19, "20 bytes"),
    ],
)
def test_bytes_that_nobody_writes_are_refused(name: str, data: bytes, said: str) -> None:
    """A place beyond the update, one that is named twice, no scale, another length."""
    with pytest.raises(BadCompression, match=said):
        UpdateForm(layout=layout_of([5]), codec=CODECS[name]).read(data)


def test_a_share_out_of_range_is_refused() -> None:
    """Nobody sends more than all numbers, or prunes to none."""
    with pytest.raises(BadCompression, match="share"):
        CompressionPlan(share=1.5)
    with pytest.raises(BadCompression, match="share"):
        PruningPlan(share=0.0)


@given(st.lists(st.lists(values, min_size=12, max_size=12), min_size=4, max_size=8))
def test_a_number_that_was_pruned_stays_zero(moves: list[list[float]]) -> None:
    """Whatever rounds give later, what is left are the places that the pruning round chose."""
    plan = PruningPlan(share=0.4, after=2)
    states = [np.zeros(12)]
    for server_round, move in enumerate(moves, start=1):
        assert plan.size(12, server_round) == (12 if server_round <= 2 else 5)
        states.append(plan.pruned(states[-1], states[-1] + move, server_round))
    np.testing.assert_array_equal(states[1], moves[0])
    for earlier, later in pairwise(states[2:]):
        assert np.count_nonzero(earlier) <= 5
        chosen = plan.places(earlier, 3)
        assert chosen is not None
        assert set(np.flatnonzero(later)) <= set(chosen)


def test_nothing_is_pruned_by_default() -> None:
    """All numbers are sent in all rounds."""
    vector = np.arange(4.0)
    assert PruningPlan().places(vector, 100) is None
    assert PruningPlan().pruned(vector, vector, 100) is vector
