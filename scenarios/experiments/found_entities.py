"""What a model found in sentences, as a table: one row an entity."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sites.evaluation.entities import SENTENCE_END
from sites.plans import Predictions
from sites.text.iob2_tags import spans_of, tag_names

COLUMNS = ("sentence", "type", "first_word", "last_word", "text")


def found_entities(
    predicted: Predictions, sentences: Sequence[Sequence[str]], types: Sequence[str]
) -> pd.DataFrame:
    """Return the entities in sentences, in their order, one a row; none for a sentence without.

    Columns: `sentence` and its words counted from 1; `text`, the words with a space between.

    Args:
        predicted: Tag codes, sentence after sentence, each followed by `SENTENCE_END`.
        sentences: The words of each.
        types: Of entities, in the order of their codes.
    """
    names = tag_names(types)
    rows = []
    for number, (codes, words) in enumerate(zip(_parted(predicted), sentences, strict=True), 1):
        for kind, start, end in spans_of([names[code] for code in codes]):
            rows.append((number, kind, start + 1, end, " ".join(words[start:end])))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _parted(predicted: Predictions) -> Iterator[list[int]]:
    codes = predicted.astype(np.int64)
    start = 0
    for end in np.flatnonzero(codes == SENTENCE_END):
        yield codes[start:end].tolist()
        start = int(end) + 1
