from dataclasses import FrozenInstanceError, replace

import dp_accounting as dp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.differential.mechanisms import (
    BadEvent,
    Gaussian,
    HeldOut,
    Mechanism,
    SampledGaussian,
    from_json,
    kind_of,
    to_json,
)

STEPS = SampledGaussian(
    noise_multiplier=1.5, sampling_rate=0.02, steps=30, clip_norm=1.0, unit="person"
)
FIGURES = Gaussian(noise_multiplier=4.0, count=2, sensitivity=3.0, unit="record")
SHOWN = HeldOut(what="evaluation")

positive = st.floats(1e-3, 1e6)
units = st.sampled_from(["record", "person"])
events: st.SearchStrategy[Mechanism] = st.one_of(
    st.builds(
        SampledGaussian,
        noise_multiplier=positive,
        sampling_rate=st.floats(0, 1, exclude_min=True),
        steps=st.integers(1, 10**9),
        clip_norm=positive,
        unit=units,
        max_records_per_person=st.integers(0, 10**5),
    ),
    st.builds(
        Gaussian,
        noise_multiplier=positive,
        count=st.integers(1, 10**9),
        sensitivity=positive,
        unit=units,
    ),
    st.builds(
        HeldOut,
        what=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128),
    ),
)


@given(event=events)
def test_the_written_form_comes_back_as_the_same_event(event: Mechanism) -> None:
    assert from_json(to_json(event)) == event


def test_the_written_forms_are_never_re_meant() -> None:
    """A ledger of today is read by the program of a later year."""
    assert to_json(STEPS) == (
        '{"clip_norm":1.0,"kind":"sampled-gaussian/1","max_records_per_person":0,'
        '"neighbouring":"add-or-remove-one","noise_multiplier":1.5,"sampling_rate":0.02,'
        '"steps":30,"unit":"person"}'
    )
    assert to_json(FIGURES) == (
        '{"count":2,"kind":"gaussian/1","max_records_per_person":0,'
        '"neighbouring":"add-or-remove-one","noise_multiplier":4.0,"sensitivity":3.0,'
        '"unit":"record"}'
    )
    assert to_json(SHOWN) == '{"kind":"held-out/1","what":"evaluation"}'
    assert kind_of(SHOWN) == "held-out/1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"kind":"held-out/2","what":"evaluation"}',
        '{"kind":["held-out/1"],"what":"evaluation"}',
        '{"kind":"held-out/1"}',
        '{"kind":"held-out/1","what":7}',
        '{"kind":"held-out/1","what":"evaluation","more":1}',
        '{"kind": "held-out/1", "what": "evaluation"}',
        '{"what":"evaluation","kind":"held-out/1"}',
        to_json(STEPS).replace("1.5", "NaN"),
        to_json(STEPS).replace("1.5", "-1.5"),
        to_json(STEPS).replace("1.5", "1.50"),
        "[" * 100_000,
    ],
)
def test_what_is_not_a_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(BadEvent):
        from_json(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_multiplier": 0.0},
        {"noise_multiplier": float("nan")},
        {"noise_multiplier": float("inf")},
        {"sampling_rate": 0.0},
        {"sampling_rate": 1.0001},
        {"steps": 0},
        {"steps": 1.5},
        {"steps": True},
        {"clip_norm": 0.0},
        {"unit": "hospital"},
        {"max_records_per_person": -1},
        {"neighbouring": "replace-one"},
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadEvent, match=next(iter(changes))):
        replace(STEPS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"count": 0}, {"sensitivity": 0.0}])
def test_figures_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadEvent, match=next(iter(changes))):
        replace(FIGURES, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["", "x" * 129, "two\nlines", "ä"])
def test_what_was_released_is_named_in_a_line(what: str) -> None:
    with pytest.raises(BadEvent):
        HeldOut(what=what)


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        STEPS.steps = 1  # type: ignore[misc]


def test_each_is_said_in_the_words_of_dp_accounting() -> None:
    step = dp.PoissonSampledDpEvent(0.02, dp.GaussianDpEvent(1.5))
    assert STEPS.to_dp_event() == dp.SelfComposedDpEvent(step, 30)
    assert FIGURES.to_dp_event() == dp.SelfComposedDpEvent(dp.GaussianDpEvent(4.0), 2)
    assert SHOWN.to_dp_event() == dp.NoOpDpEvent()
