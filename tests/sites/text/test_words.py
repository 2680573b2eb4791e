"""Laws of words: a text is parted in the same places however it is composed, nothing is lost."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sites.text.words import word_places, words_of


def test_words_end_at_punctuation_and_white_space() -> None:
    text = "Type-2 diabetes (Crohn's?), β-blocker\n5.5 mg"
    assert words_of(text) == (
        *("Type-2", "diabetes", "(", "Crohn's", "?", ")", ","),
        *("β-blocker", "5", ".", "5", "mg"),
    )


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Z"])))
@example("e\u0301te\u0301-la")
@example("a \u2260 b")
def test_words_end_in_the_same_places_however_characters_are_composed(text: str) -> None:
    """As macOS writes its file names, and others what is in the files."""
    composed, parted = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    found = tuple(unicodedata.normalize("NFC", word) for word in words_of(parted))
    assert found == words_of(composed)


@pytest.mark.parametrize(
    "word",
    ["cafe\u0301s", "\u0e19\u0e49\u0e33", "\u0939\u093f\u0928\u094d\u0926\u0940", "ty\u00adpe"],
)
def test_a_word_is_whole_with_its_marks(word: str) -> None:
    assert words_of(f"({word}) {word},") == ("(", word, ")", word, ",")


@given(st.text())
def test_words_hold_all_of_a_text_but_its_white_space(text: str) -> None:
    assert "".join(words_of(text)) == "".join(text.split())


@given(st.text())
def test_the_places_of_words_are_in_order_and_hold_the_words(text: str) -> None:
    places = word_places(text)
    edges = [edge for place in places for edge in place]
    assert edges == sorted(edges)
    assert tuple(text[start:end] for start, end in places) == words_of(text)
