from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.models.encoder_files import EncoderFiles
from sites.plans import MINILM
from sites.text.tokenisation import cut_texts

TOKENIZER = EncoderFiles.find(MINILM).tokenizer
TEXTS = st.lists(st.text(max_size=120), min_size=1, max_size=5)


@given(TEXTS, st.integers(8, 20), st.integers(0, 4))
def test_windows_hold_every_piece_of_every_text_in_order(
    texts: list[str], size: int, overlap: int
) -> None:
    """Windows without their overlaps, one after another, give the text's pieces."""
    pieces = cut_texts(texts, TOKENIZER, size=size, overlap=overlap)
    assert len(pieces) == len(texts)
    assert pieces.sizes.max() <= size
    start = 0
    for text, end in zip(texts, pieces.ends, strict=True):
        own = pieces.windows[start:end]
        assert all(one[0] == TOKENIZER.cls_token_id for one in own)
        assert all(one[-1] == TOKENIZER.sep_token_id for one in own)
        inner = [one[1:-1].tolist() for one in own]
        whole = inner[0] + [piece for one in inner[1:] for piece in one[overlap:]]
        assert whole == TOKENIZER(text, add_special_tokens=False, verbose=False)["input_ids"]
        start = end


def test_a_text_without_pieces_is_one_empty_window() -> None:
    pieces = cut_texts(["", "\x00\x01"], TOKENIZER, size=16, overlap=4)
    assert pieces.counts.tolist() == [1, 1]
    assert pieces.sizes.tolist() == [2, 2]


def test_a_note_of_100000_characters_is_read_to_its_end() -> None:
    text = "fever and cough " * 6_250
    pieces = cut_texts([text, "short"], TOKENIZER, size=128, overlap=32)
    assert pieces.counts.tolist() == [200, 1]
    assert sum(len(one) - 2 for one in pieces.windows[:200]) == 3 * 6_250 + 199 * 32


@given(st.integers(1, 40), st.integers(1, 6))
def test_windows_of_a_long_text_are_chosen_evenly_from_first_to_last(n: int, at_most: int) -> None:
    pieces = cut_texts(["pain " * (12 * n), "short"], TOKENIZER, size=14, overlap=0)
    assert pieces.counts.tolist() == [n, 1]
    taken = pieces.window_indices(np.array([0, 1, 0]), at_most=at_most)
    m = min(n, at_most)
    assert len(taken) == 2 * m + 1
    assert taken[m] == n
    assert taken[:m].tolist() == taken[m + 1 :].tolist()
    assert taken[0] == 0
    assert len(set(taken[:m].tolist())) == m
    assert m == 1 or taken[m - 1] == n - 1


@pytest.mark.parametrize("texts", [["left knee", "pain " * 30, "a"]])
def test_the_size_of_a_text_is_that_of_its_longest_window(texts: list[str]) -> None:
    pieces = cut_texts(texts, TOKENIZER, size=16, overlap=4)
    ends = [0, *pieces.ends.tolist()]
    windows = [pieces.windows[one:two] for one, two in pairwise(ends)]
    longest = [max(len(one) for one in own) for own in windows]
    assert pieces.longest.tolist() == longest
