"""Predictions of a run's model for a user's own table or texts."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from consortium.model.files import TrainedModel, read_model
from consortium.model.personal import require_personal_folder
from consortium.run.directory import RunDirectory
from sites.data.annotations import read_unannotated_sentences
from sites.data.cells import cell_text
from sites.data.iob2_files import sentence_source
from sites.data.source import DataSource, SentenceFiles
from sites.data.texts import read_texts
from sites.evaluation.entities import SENTENCE_END
from sites.evaluation.multilabel import THRESHOLD
from sites.plans import Predictions
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel
from sites.schema.texts import AnyLabel, AnySchema, EntityLabel, EntitySchema, MultiLabel
from sites.text.iob2_tags import spans_of, tag_names


def predictions(run: RunDirectory, source: DataSource, *, site: str = "") -> pd.DataFrame:
    """Return the predictions of a run's model, as `prediction_table` does.

    Args:
        run: The directory of the run.
        source: The table.
        site: Whose own model to take, made out of the shared one; "" for the shared one.

    Raises:
        BadModel: The run directory has no model.
        NoPersonalModel: The site made none, or it is no site of the run.
        ConsortiumError: The table cannot be read, or does not fit the schema.
    """
    folder = require_personal_folder(run.site(site)) if site else run.model
    return prediction_table(read_model(folder), source)


def prediction_table(model: TrainedModel, source: DataSource) -> pd.DataFrame:
    """Return the predictions of a model, one row for each row of the table, in order.

    Columns: `row`, counted from 1; whose the row is, if a column of the table says it, as it stands
    there and under its name there; and then, depending on the label:
      classes: `predicted`, and the probability of each class;
      several labels a text: `predicted`, which lists those at 0.5 or more, and the probability of
        each label;
      a number: its value, in a column named like the label.
    A score card adds `points`, and at most four features that took most points from the row, in
    `reason_1` to `reason_4`.
    For annotated sentences there is one row for each entity instead: see `entity_table`.

    Raises:
        ConsortiumError: The table cannot be read, or does not fit the schema.
    """
    table = model.charter.table
    if isinstance(table, EntitySchema):
        sentences = sentence_source(source)
        words = read_unannotated_sentences(sentences, table)
        found = entity_table(model.predict(sentences), words, table.types)
        for place, (name, persons) in enumerate(_persons(sentences, table).items(), start=1):
            found.insert(place, name, persons[found["sentence"].to_numpy() - 1])
        return found
    predicted = model.predict(source)
    columns = {
        **_persons(source, table),
        **_columns(table.label, predicted),
        **model.explain(source),
    }
    return pd.DataFrame({"row": np.arange(1, len(predicted) + 1), **columns})


def _persons(source: DataSource, table: AnySchema) -> dict[str, NDArray[Any]]:
    """Return whose each row of a source is, by the source's name of that column; none without it.

    Nobody can say which patient a line of the predictions means by the number of the row alone.
    """
    if isinstance(source, SentenceFiles):
        return {}  # whose documents are counted, not named
    theirs = source.reading.columns.get(table.person, table.person)
    frame = read_texts(source)
    return {theirs: frame[theirs].map(cell_text).to_numpy(dtype=object)} if theirs in frame else {}


def _columns(label: AnyLabel, predicted: Predictions) -> dict[str, object]:
    match label:
        case ClassLabel(classes=classes):
            return _class_columns(classes, predicted)
        case MultiLabel():
            return _label_columns(label, predicted)
        case EventTimeLabel():
            return {f"risk_by_{label.judged_at:g}": predicted}
        case NumberLabel(column=column) | EntityLabel(column=column):
            return {column: predicted}


def _label_columns(label: MultiLabel, shares: Predictions) -> dict[str, object]:
    names = np.array(label.labels)
    return {
        "predicted": [label.separator.join(names[row >= THRESHOLD]) for row in shares],
        **{f"probability_{name}": shares[:, index] for index, name in enumerate(names)},
    }


def _class_columns(classes: tuple[str, ...], predicted: Predictions) -> dict[str, object]:
    shares, names = class_shares(predicted), np.array(classes)
    return {
        "predicted": names[shares.argmax(axis=1)],
        **{f"probability_{name}": shares[:, index] for index, name in enumerate(names)},
    }


def class_shares(predicted: Predictions) -> Predictions:
    """Return the probability of each class, shape (n, n_classes).

    With two classes a model predicts that of the second one only.
    """
    return np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted


COLUMNS = ("sentence", "type", "first_word", "last_word", "text")


def entity_table(
    predicted: Predictions, sentences: Sequence[Sequence[str]], types: Sequence[str]
) -> pd.DataFrame:
    """Return the entities in sentences, one row each, in their order.

    Columns: `sentence`, `first_word` and `last_word`, counted from 1; `type`; `text`, the words
    joined by spaces.

    Args:
        predicted: Tag codes, sentence after sentence, each followed by `SENTENCE_END`.
        sentences: The words of each sentence.
        types: Entity types, in the order of their codes.
    """
    names = tag_names(types)
    rows = []
    for number, (codes, words) in enumerate(
        zip(_split_sentences(predicted), sentences, strict=True), 1
    ):
        for kind, start, end in spans_of([names[code] for code in codes]):
            rows.append((number, kind, start + 1, end, " ".join(words[start:end])))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _split_sentences(predicted: Predictions) -> Iterator[list[int]]:
    codes = predicted.astype(np.int64)
    start = 0
    for end in np.flatnonzero(codes == SENTENCE_END):
        yield codes[start:end].tolist()
        start = int(end) + 1
