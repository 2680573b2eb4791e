"""Special pieces around a window: those that the tokenizer itself sets."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from sites.text.marks import UnclearMarks, marks_of
from tests.sites.small_encoders import small
from tests.sites.tiny_encoders import tiny


@pytest.mark.parametrize(
    ("folder", "n_start", "n_end"),
    [(small(), 1, 1), (tiny("roberta"), 1, 1), (tiny("llama"), 1, 0), (tiny("gpt2"), 0, 0)],
    ids=["bert", "roberta", "llama", "gpt2"],
)
def test_a_window_has_the_special_pieces_of_the_tokenizer(
    folder: str, n_start: int, n_end: int
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    marks = marks_of(tokenizer)
    assert (len(marks.start), len(marks.end)) == (n_start, n_end)
    assert len(marks) == n_start + n_end
    pieces = np.array(tokenizer("left knee", add_special_tokens=False)["input_ids"], np.int64)
    assert marks.around(pieces).tolist() == tokenizer("left knee")["input_ids"]
    # A window is never empty: a model that gets no token fails.
    assert len(marks.around(pieces[:0])) == max(1, len(marks))


def test_a_tokenizer_that_sets_pieces_within_a_text_is_refused() -> None:
    made = Tokenizer(WordLevel({"a": 0, "?": 1, "!": 2}, unk_token="?"))  # noqa: S106 -- a piece
    made.post_processor = TemplateProcessing(single="$A:0 ! $A:0", special_tokens=[("!", 2)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="!")  # noqa: S106 -- a piece
    with pytest.raises(UnclearMarks):
        marks_of(tokenizer)
