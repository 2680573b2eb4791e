"""Laws of tags from marked texts: no word is lost, no entity is parted, and the longest is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.annotated.sentences import Adaptations, Sentence, tagged_sentences
from sites.data.annotated.texts import AnnotatedText, Annotation, BadAnnotations
from sites.text.iob2_tags import first_break, spans_of


def marked(text: str, *marks: tuple[str, int, int]) -> AnnotatedText:
    found = tuple(
        Annotation(kind=kind, parts=((start, end),), says=text[start:end], place=f"mark {number}")
        for number, (kind, start, end) in enumerate(marks, start=1)
    )
    return AnnotatedText(document="a", text=text, annotations=found, place="a.txt")


def sentences(text: str, *marks: tuple[str, int, int]) -> tuple[list[Sentence], Adaptations]:
    adaptations = Adaptations()
    return tagged_sentences(marked(text, *marks), adaptations), adaptations


@given(st.text(st.sampled_from("aB😀é-'. \n"), max_size=30), st.data())
def test_no_word_is_lost_and_every_kept_entity_is_whole(text: str, data: st.DataObject) -> None:
    """Kept are as many entities as are not counted as left out, each with all of its text."""
    ranges = st.tuples(st.integers(0, 29), st.integers(1, 8)).map(lambda r: (r[0], sum(r)))
    marks = [
        ("X", start, end)
        for start, end in data.draw(st.lists(ranges, max_size=5))
        if end <= len(text) and text[start:end].strip()
    ]
    found, adaptations = sentences(text, *marks)
    assert "".join("".join(one.tokens) for one in found) == "".join(text.split())
    assert all(first_break(one.tags) is None and one.tokens for one in found)
    kept = [
        "".join(one.tokens[span.start : span.end]) for one in found for span in spans_of(one.tags)
    ]
    assert len(kept) == len(marks) - adaptations.n_left_out
    assert {*kept} <= {"".join(text[start:end].split()) for _, start, end in marks}


def test_the_longest_is_kept_then_the_first_in_the_text_then_in_the_file() -> None:
    text = "aa bb cc dd"
    cases = {
        (("X", 0, 5), ("Y", 3, 11)): ["Y"],
        (("X", 3, 8), ("Y", 0, 5)): ["Y"],
        (("Y", 0, 5), ("X", 0, 5)): ["Y"],
        (("X", 0, 2), ("Y", 2, 5)): ["X", "Y"],
    }
    for marks, expected in cases.items():
        (one,), adaptations = sentences(text, *marks)
        assert [span.kind for span in spans_of(one.tags)] == expected
        assert adaptations.n_left_out == 2 - len(expected)


def test_an_entity_in_parts_is_read_from_first_to_last() -> None:
    parts = Annotation(kind="X", parts=((0, 6), (19, 25)), says="", place="")
    text = AnnotatedText(
        document="a", text="breast and ovarian cancer", annotations=(parts,), place=""
    )
    adaptations = Adaptations()
    (one,) = tagged_sentences(text, adaptations)
    assert one.tags == ("B-X", "I-X", "I-X", "I-X")
    assert adaptations == Adaptations(n_joined=1)


def test_sentences_end_with_lines_and_before_capital_letters_but_not_in_entities() -> None:
    found, _ = sentences("Temp. 38. A cold.Now\nNo. B cells", ("X", 21, 26))
    assert [" ".join(one.tokens) for one in found] == [
        "Temp . 38 .",
        "A cold . Now",
        "No . B cells",
    ]


def test_an_edge_within_a_word_parts_it() -> None:
    (one,), adaptations = sentences("APC-related😀", ("X", 0, 3))
    assert (one.tokens, one.tags) == (("APC", "-related", "😀"), ("B-X", "O", "O"))
    assert adaptations == Adaptations(n_cut=1)


def test_marked_white_space_is_refused() -> None:
    with pytest.raises(BadAnnotations, match="mark 1: only white space"):
        sentences("a  b", ("X", 1, 3))
