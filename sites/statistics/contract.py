"""What is counted before training, whatever the records are: the statistics of a schema."""

from collections.abc import Mapping
from typing import Any, Protocol

from privacy.layout import Tally
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema
from sites.statistics.histograms import Distance
from sites.statistics.normalisation import Constants
from sites.statistics.tables import Statistics
from sites.statistics.tally import TallyLayout
from sites.statistics.texts import TextStatistics


class Counting(Protocol):
    """Reads the tallies of training records; torch-free.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly.
    """

    @property
    def layout(self) -> TallyLayout:
        """Names and sizes of the tally's parts; `records` and `persons` are among them."""

    def check(self, tally: Tally) -> None:
        """Raise `ImpossibleTally` for what no records can have as their tally."""

    def constants(self, tally: Tally) -> Constants:
        """Return the constants that a pooled tally implies, the same bytes at every site."""

    def describe(self, tally: Tally) -> dict[str, Any]:
        """Return a summary as plain JSON values."""

    def distances(self, one: Tally, other: Tally) -> Mapping[str, Distance]:
        """Return by column, label included, how differently two sites' records spread."""


def statistics_for(schema: AnySchema) -> Counting:
    """Return the statistics of the records that a schema describes."""
    if isinstance(schema, Schema):
        return Statistics(schema)
    return TextStatistics(schema)
