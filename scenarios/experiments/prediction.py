"""Predictions for a person's own table, as a table."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from sites.data.annotations import unannotated
from sites.data.iob2_files import as_sentences
from sites.data.source import DataSource
from sites.evaluation.entities import SENTENCE_END
from sites.evaluation.multilabel import THRESHOLD
from sites.plans import Predictions
from sites.schema.tables import ClassLabel, NumberLabel
from sites.schema.texts import AnyLabel, EntityLabel, EntitySchema, MultiLabel
from sites.text.iob2_tags import spans_of, tag_names


def predictions(run: RunDirectory, source: DataSource) -> pd.DataFrame:
    """Return the predictions of a run's model, one row for each row of the table, in order.

    Columns: `row`, counted from 1; then for classes `predicted` and a probability a class; for
    labels of which a text may have several likewise, `predicted` listing those at 0.5 or more;
    for a number its value, named as the label. Of sentences, instead, one row an entity.

    Raises:
        BadModel: The run left no model here.
        ConsortiumError: The table cannot be read, or breaks the schema.
    """
    model = read_model(run.model)
    table = model.charter.table
    if isinstance(table, EntitySchema):
        sentences = as_sentences(source)
        words = unannotated(sentences, table)
        return found_entities(model.predict(sentences), words, table.types)
    predicted = model.predict(source)
    columns = _columns(table.label, predicted)
    return pd.DataFrame({"row": np.arange(1, len(predicted) + 1), **columns})


def _columns(label: AnyLabel, predicted: Predictions) -> dict[str, object]:
    match label:
        case ClassLabel(classes=classes):
            return _classes(classes, predicted)
        case MultiLabel():
            return _labels(label, predicted)
        case NumberLabel(column=column) | EntityLabel(column=column):
            return {column: predicted}


def _labels(label: MultiLabel, shares: Predictions) -> dict[str, object]:
    names = np.array(label.labels)
    return {
        "predicted": [label.separator.join(names[row >= THRESHOLD]) for row in shares],
        **{f"probability_{name}": shares[:, index] for index, name in enumerate(names)},
    }


def _classes(classes: tuple[str, ...], predicted: Predictions) -> dict[str, object]:
    shares = np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted
    names = np.array(classes)
    return {
        "predicted": names[shares.argmax(axis=1)],
        **{f"probability_{name}": shares[:, index] for index, name in enumerate(names)},
    }


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
