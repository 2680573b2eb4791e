"""What of OMOP tables is refused, each cell with its place: table, key of the row and column."""

from typing import NamedTuple

from sites.data.mapped.refusals import Refusals, Refused, short_text
from sites.data.tables import UnreadableSource


class BadCdmRows(UnreadableSource, code="bad-cdm-rows"):
    """Rows of the OMOP CDM cannot be made into cells; the message says which, where and why."""


class Place(NamedTuple):
    """The row of a database from which a cell comes: its table, and its key."""

    table: str
    key: object

    def __str__(self) -> str:
        return f"{self.table} {self.key}"


class OmopRefusals(Refusals):
    """The refusals of one reading of OMOP tables."""

    def __init__(self) -> None:
        super().__init__(BadCdmRows, what="cell", source="OMOP tables")

    def add(self, name: str, why: Refused, place: Place) -> None:
        """Note a refusal.

        Args:
            name: What is made of the cell: a column of the schema, or the index.
            why: What is wrong.
            place: Where it stands.
        """
        got = "NULL" if why.got is None else short_text(why.got)
        self.note(name, why, f"{place} ({why.element} is {got})")
