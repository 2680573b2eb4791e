"""Records of later periods at the sites of a small consortium."""

from collections.abc import Sequence

import numpy as np

from consortium.site.periods import declare_period
from sites.data.source import TableFile
from tests.founded import Founded
from tests.small_consortium import NAMES, records


def declare_later(
    founded: Founded,
    period: str,
    *,
    sites: Sequence[str] = NAMES,
    count: int = 60,
    older: float = 0.0,
    unlabelled: int = 0,
) -> None:
    """Declare new records of a period at some sites, of people who are so many years older.

    The first ones, if any, have no label yet.
    """
    for name in sites:
        site = founded.consortium.run.site(name)
        path = site / f"{period}.csv"
        found = records(f"{name}-{period}", count)
        labels = found["ill"].mask(np.arange(count) < unlabelled)
        found.assign(age=found["age"] + older, ill=labels).to_csv(path, index=False)
        declare_period(site, period, TableFile(path=path))
