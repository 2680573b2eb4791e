"""The runs in which a site took part under version 0.1.0, as far as its own files tell.

Version 0.1.0 held out whom the seed of the run drew. Whom it trained on can be found out again if
the seeds are known and the records are those of then. A seed stands in the config of a run, of
which the site's audit log holds the digest; a config itself stands beside the last model, and
comes with the run that asks.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from consortium.config import RunConfig
from consortium.site.directory import SiteDirectory
from privacy.errors import ConsortiumError
from sites.data.holdout import Mask, PersonRecords
from sites.data.holdout_0_1_0 import SeededSides
from sites.data.source import DataSource, file_identities, is_in_database, source_paths

# As version 0.1.0 wrote its log.
_LOG, _RUN, _SENT, _EXPORTED = "log.jsonl", "run", "sent", "exported"
_OF_RECORDS = ("query.statistics", "train")

_NANOSECONDS = 1e9


@dataclass(frozen=True, kw_only=True)
class EarlierRuns:
    """What is known of the runs before a site had a rule of its own.

    Args:
        seeds: Of these runs; None if one is not known, or the records are not those of then.
        unfinished: Digests of the configs of the runs that have not ended.
    """

    seeds: frozenset[int] | None
    unfinished: frozenset[str]

    def trained_on(self, records: PersonRecords) -> Mask | None:
        """Return which records a run was trained on, shape (n,); None if that is not known."""
        if self.seeds is None:
            return None
        held_out = [SeededSides(seed).held_out(records) for seed in self.seeds]
        trained: Mask = ~np.logical_and.reduce(held_out)
        return trained


def earlier_runs(directory: Path, source: DataSource, config: RunConfig) -> EarlierRuns | None:
    """Return what a site's files tell of earlier runs; None if it took part in none.

    Args:
        directory: The site's.
        source: Where its records are.
        config: Of the run that asks, which may be one of them.
    """
    asked, counted, unfinished = dict[str, str](), set[str](), dict[str, str]()
    began = None
    for entry in _entries(SiteDirectory(directory).audit / _LOG):
        kind, facts = entry["kind"], entry["facts"]
        if kind == _RUN:
            asked[facts["run"]] = facts["config"]
            began = began or datetime.fromisoformat(entry["at"])
        elif kind == _SENT and facts["kind"] in _OF_RECORDS:
            counted.add(asked[facts["run"]])
            unfinished[facts["run"]] = asked[facts["run"]]
        elif kind == _EXPORTED:
            unfinished.pop(facts["run"], None)
    if began is None or not counted:
        return None
    seeds = {one.digest: one.seed for one in _known_configs(directory, config)}
    known = counted <= seeds.keys() and _unchanged_since(began, source)
    return EarlierRuns(
        seeds=frozenset(seeds[digest] for digest in counted) if known else None,
        unfinished=frozenset(unfinished.values()),
    )


def _entries(log: Path) -> Iterator[dict[str, Any]]:
    if not log.exists():
        return
    for line in log.read_text(encoding="utf-8").splitlines():
        # The last line may be half a one, where a machine died; it says nothing of a run.
        try:
            yield json.loads(line)["entry"]
        except (ValueError, KeyError):
            continue


def _known_configs(directory: Path, config: RunConfig) -> Iterable[RunConfig]:
    yield config
    try:
        described = json.loads((SiteDirectory(directory).model / "model.json").read_text())
        yield RunConfig.parse(described["config"])
    except (OSError, ValueError, KeyError, ConsortiumError):
        return


def _unchanged_since(began: datetime, source: DataSource) -> bool:
    """Return whether the records are in files, all older than the first run."""
    if is_in_database(source):
        return False
    files = [one for path in source_paths(source) for one in file_identities(path)]
    changed = [modified / _NANOSECONDS for _, modified, _, _ in files]
    return bool(changed) and max(changed) <= began.timestamp()
