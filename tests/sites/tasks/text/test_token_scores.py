"""Laws of word scores: they do not depend on the batch or on the windows."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from sites.tasks.text.token_scores import sentence_losses, tags_of_sentences
from sites.text.iob2_tags import Codes, decode_tags
from sites.text.word_alignment import PieceWindow, Sentence

N_TAGS = 5
TABLE = torch.from_numpy(np.random.default_rng(0).standard_normal((50, N_TAGS)))


def scores(windows: Sequence[NDArray[np.int64]]) -> Tensor:
    """Score a piece by its identifier alone, and padding with arbitrary values."""
    longest = max(len(window) for window in windows)
    found = torch.full((len(windows), longest, N_TAGS), 1e3)
    for row, window in enumerate(windows):
        found[row, : len(window)] = TABLE[window].float()
    return found.requires_grad_()


EMPTY = PieceWindow(np.array([1, 2]), np.zeros(0, np.int64), np.zeros(0, np.int64))


@st.composite
def sentences(draw: st.DrawFn) -> tuple[Sentence, Codes]:
    """Return a sentence as windows, with some words unread, and its true tags."""
    windows, words = [], 0
    for _ in range(draw(st.integers(0, 3))):
        n_read = draw(st.integers(1, 4))
        read = words + np.arange(n_read) + draw(st.integers(0, 1))
        ids = draw(st.lists(st.integers(1, 49), min_size=n_read + 2, max_size=n_read + 6))
        windows.append(PieceWindow(np.array(ids), 1 + np.arange(n_read), read))
        words = int(read[-1]) + 1
    n_words = words + draw(st.integers(0, 2))
    tags = draw(st.lists(st.integers(0, N_TAGS - 1), min_size=n_words, max_size=n_words))
    return Sentence(tuple(windows) or (EMPTY,), n_words), np.array(tags, np.int64)


batches = st.lists(sentences(), min_size=1, max_size=5)


@given(batches)
@settings(max_examples=20)
def test_a_sentence_has_the_same_loss_in_any_batch(batch: list[tuple[Sentence, Codes]]) -> None:
    """The loss equals the mean over its words, computed by hand."""
    read, tags = zip(*batch, strict=True)
    together = sentence_losses(scores, read, tags).detach().numpy()
    for found, sentence, true in zip(together, read, tags, strict=True):
        each = [
            float(-torch.log_softmax(TABLE[w.ids[p]].float(), 0)[true[word]])
            for w in sentence.windows
            for p, word in zip(w.positions, w.words, strict=True)
        ]
        assert found == pytest.approx(np.mean(each) if each else 0.0, rel=1e-5)


@given(batches, st.integers(1, 4))
@settings(max_examples=20)
def test_tags_do_not_depend_on_batches(batch: list[tuple[Sentence, Codes]], size: int) -> None:
    read = [sentence for sentence, _ in batch]
    found = tags_of_sentences(scores, read, n_tags=N_TAGS, batch_size=size)
    for sentence, codes in zip(read, found, strict=True):
        assert len(codes) == sentence.n_words
        (alone,) = tags_of_sentences(scores, [sentence], n_tags=N_TAGS, batch_size=64)
        assert np.array_equal(codes, alone)


def test_tags_are_the_best_that_iob2_allows() -> None:
    ids, words = np.array([1, 7, 8, 9, 2]), np.arange(3)
    sentence = Sentence((PieceWindow(ids, words + 1, words),), 3)
    (codes,) = tags_of_sentences(scores, [sentence], n_tags=N_TAGS, batch_size=1)
    assert np.array_equal(codes, decode_tags(torch.log_softmax(TABLE[ids[1:4]], 1).numpy()))


def test_a_word_without_a_piece_is_outside() -> None:
    found = tags_of_sentences(scores, [Sentence((EMPTY,), 2)], n_tags=N_TAGS, batch_size=8)
    assert found[0].tolist() == [0, 0]


def test_a_batch_without_pieces_has_loss_0_and_a_gradient() -> None:
    losses = sentence_losses(scores, [Sentence((EMPTY,), 1)], [np.array([0])])
    torch.autograd.backward(losses.mean())
    assert losses.tolist() == [0.0]
