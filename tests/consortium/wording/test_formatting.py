import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.wording import formatting as words
from consortium.wording.formatting import escape_controls
from privacy.errors import plural


def plain(text: str) -> str:
    """Return text with ASCII spaces and minus signs."""
    return (
        text.replace(words.SPACE, " ")
        .replace(words.DASH, "-")
        .replace(words.MINUS, "-")
        .replace(words.PLUS_MINUS, "+-")
    )


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.74812, "", "0.748"),
        (0.0, "", "0.000"),
        (-0.0104, "", "-0.010"),
        (-0.0000001, "", "0.000"),
        (35769.36, "US$", "35,769 US$"),
        (-5504.5, "US$", "-5,504 US$"),
        (123.456, "mm", "123.5 mm"),
        (4.5678, "years", "4.57 years"),
        (0.0076, "", "0.008"),
        (0.00756, "per year", "0.00756 per year"),
    ],
)
def test_a_figure_has_the_digits_that_matter(value: float, unit: str, shown: str) -> None:
    assert plain(words.figure(value, unit)) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.00756, "", "0.00756"),
        (-0.0492, "", "-0.0492"),
        (8.21e-5, "mol/l", "0.0000821 mol/l"),
        (3.2e-11, "", "3.20e-11"),
        (0.0, "", "0.000"),
        (54.3214, "", "54.321"),
        (35769.36, "", "35,769"),
    ],
)
def test_an_amount_keeps_its_digits_however_small_it_is(
    value: float, unit: str, shown: str
) -> None:
    assert plain(words.amount(value, unit)) == shown


@given(st.floats(1e-12, 99), st.sampled_from([1, -1]))
def test_an_amount_is_read_back_within_half_a_percent(size: float, sign: int) -> None:
    assert float(plain(words.amount(sign * size))) == pytest.approx(sign * size, rel=0.005)


@pytest.mark.parametrize(
    ("error", "value", "shown"),
    [
        (0.0, 0.7, "exact"),
        (1e-10, 0.7, "exact as shown"),
        (0.0013, 0.7, "+- 0.0013"),
        (0.01446, 0.7, "+- 0.014"),
        (976.56, 16601.0, "+- 977"),
        (0.3, 20_000.0, "exact as shown"),
        (0.00048, 0.76626, "+- 0.00048"),  # 0.76674 would be shown as 0.767
    ],
)
def test_an_error_bound_is_never_understated_as_exact(
    error: float, value: float, shown: str
) -> None:
    assert plain(words.bound(error, value)) == shown


@given(
    st.one_of(st.floats(1e-9, 1e-3), st.floats(1e-3, 1e6)),
    st.floats(-2, 1e6),
    st.floats(-1, 1),
    st.sampled_from(["", "mm"]),
)
def test_a_bound_that_moves_a_digit_shown_is_shown(
    error: float, value: float, share: float, unit: str
) -> None:
    """Whatever is within the bound is shown as the value is, or the bound is shown."""
    if words.figure(value + share * error, unit) != words.figure(value, unit):
        assert words.PLUS_MINUS in words.bound(error, value, unit)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (999_999, "1.0 MB"),
        (250_000, "250 kB"),
        (3 * 10**15, "3,000 TB"),
    ],
)
def test_sizes(number: int, shown: str) -> None:
    assert plain(words.size(number)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.243, "0.24 s"),
        (6.24, "6.2 s"),
        (59.94, "59.9 s"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert plain(words.duration(seconds)) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (0.074, "7.4 %"), (0.318, "32 %"), (0.996, "99.6 %"), (1.0, "100 %")],
)
def test_shares(share: float, shown: str) -> None:
    assert plain(words.percent(share)) == shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(0.7, 0.76, "0.700-0.760"), (-0.01, 0.02, "-0.010 to 0.020"), (1345, 2874, "1,345-2,874")],
)
def test_an_interval_never_runs_into_a_minus(low: float, high: float, shown: str) -> None:
    assert plain(words.interval(low, high)) == shown


def test_a_difference_always_has_its_sign() -> None:
    assert words.difference(0.0101) == "+0.010"
    assert plain(words.difference(-0.0101)) == "-0.010"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(5, 5, "all five banks"), (0, 5, "none of the five banks"), (2, 40, "two of 40 banks")],
)
def test_some_of_several(part: int, whole: int, shown: str) -> None:
    assert words.part_in_words(part, whole, "banks") == shown


@pytest.mark.parametrize(
    ("noun", "shown"),
    [("bank", "banks"), ("property", "properties"), ("branch", "branches"), ("day", "days")],
)
def test_plurals(noun: str, shown: str) -> None:
    assert plural(noun) == shown


@pytest.mark.parametrize(
    ("names", "task", "noun"),
    [
        (("amber-bank", "elm-bank"), "credit", "bank"),
        (("north-office", "east-office"), "house-prices", "office"),
        (("hospital-1", "hospital-2"), "credit", "hospital"),
        (("cleveland", "hungary"), "diagnosis", "hospital"),
        (("north-east", "north-west"), "credit", "lender"),
        (("a", "b"), "house-prices", "site"),
    ],
)
def test_members_are_called_by_their_names_or_their_task(
    names: tuple[str, ...], task: str, noun: str
) -> None:
    assert words.member_noun(names, task) == noun


def test_lists_and_titles_in_sentences() -> None:
    assert words.name_list([]) == ""
    assert words.name_list(["a"]) == "a"
    assert words.name_list(["a", "b", "c"]) == "a, b and c"
    assert words.title_in_sentence("Root mean squared error") == "root mean squared error"
    assert words.title_in_sentence("AUC") == "AUC"
    assert words.title_in_sentence("Macro F1") == "macro F1"
    assert words.setting_text(True) == "true"


@given(text=st.text(st.characters(), max_size=60))
def test_no_text_of_others_commands_a_terminal(text: str) -> None:
    shown = escape_controls(text + "\x1b[2J\u202e\ud800")
    assert not {one for one in shown if unicodedata.category(one) in ("Cc", "Cf", "Cs")} - {*"\n\t"}
    assert shown.endswith(r"\x1b[2J\u202e\ud800")


@given(text=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60))
def test_a_text_of_any_language_is_shown_as_it_is(text: str) -> None:
    assert escape_controls(text) == text
