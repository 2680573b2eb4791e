"""The contract of the statistics that sites count before training, for every kind of schema."""

from collections.abc import Mapping
from typing import Any, Protocol

from privacy.layout import Tally
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema
from sites.statistics.by_class import ClassedStatistics, counts_by_class
from sites.statistics.histograms import Distance
from sites.statistics.normalisation import Constants
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import TallyLayout
from sites.statistics.texts import TextStatistics


class Statistics(Protocol):
    """Reads tallies of training records; needs no torch.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly.
    """

    @property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally, among them `records` and `persons`."""

    def check(self, tally: Tally) -> None:
        """Raise `ImpossibleTally` if no records can have this tally."""

    def constants(self, tally: Tally) -> Constants:
        """Return the constants of a pooled tally, the same bytes at every site."""

    def describe(self, tally: Tally) -> dict[str, Any]:
        """Return a summary as plain JSON values."""

    def distances(self, one: Tally, other: Tally) -> Mapping[str, Distance]:
        """Return the distance between two sites' records by column, the label included."""


def statistics_for(schema: AnySchema, *, by_class: bool = False) -> Statistics:
    """Return the statistics for records of this schema.

    Args:
        schema: The meaning of every column.
        by_class: Whether tables are counted by class as well, where their labels are classes.
            Statistics without classes read a tally with them, too.
    """
    if isinstance(schema, Schema):
        classed = by_class and counts_by_class(schema)
        return ClassedStatistics(schema) if classed else TableStatistics(schema)
    return TextStatistics(schema)
