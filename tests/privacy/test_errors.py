import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ConsortiumError, abbreviated_names, unknown_name


class TooFewSites(ConsortiumError, ValueError, code="too-few-sites"):
    """An error as the packages define them."""


@given(st.text(), st.dictionaries(st.sampled_from(["sites", "needed"]), st.integers()))
def test_code_and_counts_are_independent_of_the_text(text: str, counts: dict[str, int]) -> None:
    """Code and counts may leave a site. The message, which may quote a record, may not."""
    error = TooFewSites(text, **counts)

    assert error.code == "too-few-sites"
    assert error.counts == counts
    assert str(error) == text


@pytest.mark.parametrize("base", [ConsortiumError, TooFewSites])
def test_a_kind_of_error_declares_its_own_code(base: type[ConsortiumError]) -> None:
    """An inherited code could not be told from that of the parent class."""
    with pytest.raises(TypeError, match="code"):

        class Nameless(base):  # type: ignore[valid-type, misc]
            """An error whose author forgot the code."""


def test_an_error_is_caught_as_the_builtin_it_also_is() -> None:
    with pytest.raises(ValueError, match="need 3, got 2") as caught:
        raise TooFewSites("need 3, got 2", needed=3, sites=2)

    assert isinstance(caught.value, ConsortiumError)


def test_of_many_names_a_message_tells_the_number_and_the_first() -> None:
    many = [f"site-{index:03}" for index in range(500)]
    assert abbreviated_names(many[:6]) == ", ".join(many[:6])
    assert abbreviated_names(many) == "500: site-000, site-001, site-002, site-003, site-004, ..."
    assert abbreviated_names(()) == ""


RULES = ("mean", "coordinate-median", "geometric-median", "multi-krum")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("median", "'coordinate-median' or 'geometric-median'"),
        ("krum", "'multi-krum'"),
        ("maen", "'mean'"),
    ],
)
def test_a_word_of_a_name_means_that_name(typed: str, meant: str) -> None:
    """Though another name is spelt more alike: 'median' is not the mean."""
    assert f"did you mean {meant}?" in unknown_name(typed, RULES, kind="rule")
