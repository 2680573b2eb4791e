"""The groups by which survival curves are drawn: the values of one category.

A module of its own because curves with noise and those of a Cox model are of the same groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sites.learners.counted_tables import TableRecords
from sites.plans import BadPlan
from sites.schema.tables import Category, Schema
from sites.schema.texts import AnySchema
from sites.statistics.life_tables import LifeTable


@dataclass(frozen=True)
class CurveGroups:
    """The records of each value of a category, and those without a value.

    Guarantee: each record is of exactly one group.

    Args:
        by: The category; None for one group of all records.
    """

    by: Category | None

    @classmethod
    def named(cls, schema: AnySchema, name: str) -> "CurveGroups":
        """Return the groups by a category of this name; one group if the name is empty.

        Raises:
            BadPlan: The schema has no such category.
        """
        columns = schema.features if isinstance(schema, Schema) else ()
        found = {one.name: one for one in columns if isinstance(one, Category)}
        if name and name not in found:
            known = ", ".join(found) or "none is declared"
            raise BadPlan(f"cox.group must be a category of the schema ({known}), got {name}")
        return cls(found.get(name))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups: one without a name, or each declared value, and missing."""
        if self.by is None:
            return ("",)
        return (*self.by.values, *(("missing",) if self.by.missing else ()))

    def life_tables(self, records: TableRecords, grid: tuple[float, ...]) -> tuple[LifeTable, ...]:
        """Return the life table of each group on the declared times.

        Args:
            records: With how and when each ended as their label.
            grid: Ends of the steps of time.
        """
        with_event, times = records.labels[:, 0] == 1, records.labels[:, 1].astype(np.float64)
        groups = self._groups_of(records)
        return tuple(
            LifeTable.of(times[groups == one], with_event[groups == one], grid)
            for one in range(len(self.names))
        )

    def _groups_of(self, records: TableRecords) -> NDArray[np.int64]:
        if self.by is None:
            return np.zeros(len(records.labels), np.int64)
        codes = records.columns[self.by.name]
        return np.where(codes < 0, len(self.by.values), codes).astype(np.int64)


ONE_CURVE = CurveGroups(None)
