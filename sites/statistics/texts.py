"""Federated statistics of texts: their number, persons, lengths and labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.schema.texts import CHARACTERS, LONGEST_TEXT, TextSchema, marks_of
from sites.statistics.histograms import Distance
from sites.statistics.normalisation import Constants
from sites.statistics.tables import ColumnsDiffer, TableStatistics
from sites.statistics.tally import ImpossibleTally, TallyLayout

MARKS = "marks"
MOST_MARKS = 10_000  # entities of a sentence that are counted


@dataclass(frozen=True)
class TextStatistics:
    """Counts a site's training texts by the agreed schema, and reads pooled counts.

    Texts are counted like a table of two columns: their length in characters, and their class.
    Where a text may have several labels, or entities, the second column is the number of them,
    and each label or type is counted in addition.

    Guarantee: the tallies of sites add up to the tally of all their texts, exactly. A tally holds
    no word of a text.
    """

    schema: TextSchema

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        marks = {MARKS: len(self._marks)} if self._marks else {}
        return TallyLayout({**self._table.layout.sizes, **marks})

    def tally(self, lengths: NDArray[np.int64], labels: Tally, *, persons: int) -> Tally:
        """Return the tally of these texts.

        Args:
            lengths: Characters of each text, shape (n,); more than `LONGEST_TEXT` count as that.
            labels: Codes of classes, shape (n,); or how often each text has each label, or
                entities of each type, shape (n, n_marks).
            persons: Number of persons to whom the texts belong.

        Raises:
            ColumnsDiffer: There is not one label, or one row of labels, per text.
            TallyOverflow: There are 2**25 texts or more.
        """
        shape = (len(lengths), len(self._marks)) if self._marks else (len(lengths),)
        if labels.shape != shape:
            raise ColumnsDiffer(f"these texts need labels of shape {shape}, got {labels.shape}")
        columns = {CHARACTERS: np.minimum(lengths, LONGEST_TEXT)}
        if not self._marks:
            return self._table.tally(columns, labels, persons=persons)
        numbers = np.minimum(labels.sum(axis=1), self._most_marks)
        counted = self._table.tally(columns, numbers, persons=persons)
        return np.concatenate([counted, labels.sum(axis=0, dtype=np.int64)])

    def check(self, tally: Tally) -> None:
        """Check that texts can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible, or counts disagree.
        """
        self.layout.check(tally)
        self._table.check(self._table_part(tally))
        most = self._most_marks * self.layout.count("records", tally)
        if self._marks and self.layout.part(MARKS, tally).max() > most:
            raise ImpossibleTally("a label is counted more often than these texts can have it")

    def constants(self, tally: Tally) -> Constants:
        """Return the constants of a pooled tally, the same bytes at every site.

        `class_counts` counts the texts of each class, or how often each label or type occurs.

        Raises:
            ImpossibleTally: No texts have this tally.
        """
        self.check(tally)
        constants = self._table.constants(self._table_part(tally))
        if not self._marks:
            return constants
        counts = tuple(int(count) for count in self.layout.part(MARKS, tally))
        return Constants(numbers=constants.numbers, class_counts=counts)

    def describe(self, tally: Tally) -> dict[str, Any]:
        """Return a summary as plain JSON values.

        Raises:
            ImpossibleTally: No texts have this tally.
        """
        self.check(tally)
        described = self._table.describe(self._table_part(tally))
        if self._marks:
            counts = self.layout.part(MARKS, tally).tolist()
            described["columns"][self.schema.label.column] = {
                "kind": "marks",
                "values": list(self._marks),
                "counts": counts,
                "records": described["records"],
            }
        return described

    def distances(self, one: Tally, other: Tally) -> Mapping[str, Distance]:
        """Return the distance between two sites' texts by column, the label included.

        Raises:
            ImpossibleTally: No texts have one of the tallies.
        """
        self.check(one)
        self.check(other)
        return self._table.distances(self._table_part(one), self._table_part(other))

    def _table_part(self, tally: Tally) -> Tally:
        # The marks, if any, stand after the entries of the table.
        return tally[: self._table.layout.size]

    @cached_property
    def _marks(self) -> tuple[str, ...]:
        label = self.schema.label
        return () if isinstance(label, ClassLabel) else marks_of(label)

    @cached_property
    def _most_marks(self) -> int:
        return len(self._marks) if self.schema.kind == "notes" else MOST_MARKS

    @cached_property
    def _table(self) -> TableStatistics:
        predicted = self.schema.label
        label = (
            predicted
            if isinstance(predicted, ClassLabel)
            else NumberLabel(column=predicted.column, low=0, high=self._most_marks)
        )
        # Lengths of texts are skewed, hence the log scale.
        length = Number(name=CHARACTERS, low=0, high=LONGEST_TEXT, unit=CHARACTERS, scale="log")
        schema = self.schema
        return TableStatistics(
            Schema(name=schema.name, person=schema.person, features=(length,), label=label)
        )
