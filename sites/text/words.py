"""The words and punctuation marks of running text, and where each of them stands."""

import re
import unicodedata

# A word may contain apostrophes and hyphens; any other mark is a token by itself.
_MARK = "\ufdd1"  # no character of any text: it stands for a combining mark after another mark
_WORDS = re.compile(rf"\w+(?:['\u2019-]\w+)*|[^\w\s]{_MARK}*")
_SPACE_WITHOUT_WIDTH = "\u200b"


def words_of(text: str) -> tuple[str, ...]:
    """Return the words and punctuation marks of running text, in order, without white space.

    Guarantee: text is parted in the same places however Unicode composes its characters.
    """
    return tuple(text[start:end] for start, end in word_places(text))


def word_places(text: str) -> list[tuple[int, int]]:
    """Return where the words of `words_of` begin and end, in characters of the text."""
    outline = text if text.isascii() else _outline(text)
    return [word.span() for word in _WORDS.finditer(outline)]


def _outline(text: str) -> str:
    """Return a text of the same length whose combining marks are of the kind of what they mark.

    Those after a letter, and characters that only shape a word, are letters.
    """
    found: list[str] = []
    for character in text:
        kind = unicodedata.category(character)
        shapes = kind == "Cf" and character != _SPACE_WITHOUT_WIDTH
        before = found[-1] if found else " "
        if (kind.startswith("M") or shapes) and not before.isspace():
            found.append("a" if before.isalnum() or before == "_" else _MARK)
        else:
            found.append(character)
    return "".join(found)
