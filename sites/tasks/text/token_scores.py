"""Tag scores of words: the loss of a sentence, and the best tags."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sites.text.iob2_tags import Codes, decode_tags
from sites.text.word_alignment import PieceWindow, Sentence

Scores: TypeAlias = Callable[[Sequence[NDArray[np.int64]]], Tensor]
"""From windows of pieces to the scores of their tags, shape (B, T, n_tags), on any device."""


def sentence_losses(scores: Scores, sentences: Sequence[Sentence], tags: Sequence[Codes]) -> Tensor:
    """Return the mean cross-entropy over the words of each sentence, shape (B,).

    Only words that have a piece count; a sentence without any has loss 0. It is a mean per
    sentence, not over the words of a batch, so that what one record adds to a step does not grow
    with its length.

    Args:
        scores: The model's scores.
        sentences: The sentences as windows of pieces.
        tags: The true tag codes of each sentence.
    """
    rows, windows = _windows_with_rows(sentences)
    owner = np.repeat(rows, [len(window.words) for window in windows])  # (n_words,)
    true = np.concatenate(
        [tags[row][window.words] for row, window in zip(rows, windows, strict=True)]
    )
    found = _word_scores(scores, windows)
    each = torch.nn.functional.cross_entropy(
        found, torch.from_numpy(true).to(found.device), reduction="none"
    )
    of_sentence = torch.from_numpy(owner).to(found.device)
    sums = found.new_zeros(len(sentences)).index_add(0, of_sentence, each)
    counts = torch.bincount(of_sentence, minlength=len(sentences)).clamp(min=1)
    return sums / counts


@torch.no_grad()
def tags_of_sentences(
    scores: Scores, sentences: Sequence[Sentence], *, n_tags: int, batch_size: int
) -> list[Codes]:
    """Return the codes of the best IOB2 tags of each sentence.

    A word without a piece is outside of any entity.

    Args:
        scores: The model's scores.
        sentences: The sentences as windows of pieces.
        n_tags: Number of tags.
        batch_size: Windows per forward pass.
    """
    logits = [np.zeros((sentence.n_words, n_tags)) for sentence in sentences]
    for row in logits:
        row[:, 0] = 1.0  # O is the best tag of a word that no window reads
    rows, windows = _windows_with_rows(sentences)
    # Windows of similar size share a pass, which needs little padding.
    order = np.argsort([len(window.ids) for window in windows], kind="stable")
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        chosen = [windows[place] for place in batch]
        found = _word_scores(scores, chosen).double().cpu().numpy()
        ends = np.cumsum([len(window.words) for window in chosen])
        for place, part in zip(batch, np.split(found, ends[:-1]), strict=True):
            logits[rows[place]][windows[place].words] = part
    return [decode_tags(_log_probabilities(part)) for part in logits]


def _windows_with_rows(sentences: Sequence[Sentence]) -> tuple[list[int], list[PieceWindow]]:
    """Return the sentence of each window, and all windows, sentence after sentence."""
    pairs = [(row, window) for row, item in enumerate(sentences) for window in item.windows]
    return [row for row, _ in pairs], [window for _, window in pairs]


def _word_scores(scores: Scores, windows: Sequence[PieceWindow]) -> Tensor:
    """Return the scores at the pieces of words, window after window, (n_words, n_tags)."""
    outputs = scores([window.ids for window in windows])  # (B, T, n_tags)
    row = np.repeat(np.arange(len(windows)), [len(window.words) for window in windows])
    column = np.concatenate([window.positions for window in windows])
    places = (torch.from_numpy(part).to(outputs.device) for part in (row, column))
    return outputs[tuple(places)]


def _log_probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log-probabilities, so that all words have equal weight in the best sequence."""
    # Less the maximum, so that no exponential overflows.
    shifted = logits - logits.max(axis=1, initial=-np.inf, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
