"""One institution as the app sees it: its directory, its records, its task."""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.contract import Mode
from consortium.modes.registry import mode_of
from consortium.site.agreed_map import require_agreed_map
from consortium.site.directory import SiteConfig, SiteDirectory, read_site_config, site_directory
from consortium.site.periods import (
    OwnCount,
    PeriodMemory,
    PeriodWaits,
    config_of_period,
    require_declared_records,
)
from consortium.site.person_sides import sides_of
from consortium.site.validation_part import with_validation_part
from privacy.block_values import value_in_block
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.policy.document import Policy, read_policy
from privacy.storage.site_process import SITE_PROCESS, Cache
from sites.data.fingerprint import fingerprint_of
from sites.data.holdout import NobodyHeldOut
from sites.data.mapped.digests import map_digests
from sites.data.source import FileIdentity, file_identities, source_paths
from sites.evaluation.contract import without_small_groups
from sites.plans import AnyModelPlan, TextModelPlan
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema
from sites.statistics.drift import FEWEST
from sites.task import SiteData, Task
from sites.tasks.registry import task_for

if TYPE_CHECKING:  # Flower takes a third of a second to load, and most commands need no message
    from flwr.app import Context


class OtherCharter(ConsortiumError, PermissionError, code="other-charter"):
    """A message is bound to a charter that this site did not sign."""


@dataclass(frozen=True)
class Site:
    """A site in a run.

    Args:
        directory: What belongs to this site only.
        config: The operator's decisions.
        charter: What this site signed.
        run_config: What the coordinator asks for.
        read_from: The files that all this was read from, as they were.
    """

    directory: Path
    config: SiteConfig
    charter: Charter
    run_config: RunConfig
    read_from: tuple[FileIdentity, ...] = ()

    @cached_property
    def task(self) -> Task[SiteData]:
        """The use case of the charter with the model of the run."""
        plan = own_plan(model_plan(self.run_config, self.charter.table), self)
        return task_for(
            self.charter.task,
            self.charter.table,
            plan,
            seed=self.run_config.seed,
            learning=self.run_config.learning_with(self.charter.names),
            counting=self.run_config.counting,
        )

    @cached_property
    def data(self) -> SiteData:
        """The site's records, read once a process; of a later period, where the run counts one.

        Raises:
            OtherMap: They are read by a map other than the charter's.
            PeriodWaits: It has too few persons of a class.
            PeriodChanged: The records are others than those that were declared for the period.
            ConsortiumError: As `records_of` says.
        """
        require_agreed_map(self.charter, self.config.name, self.config.source)
        if not self.run_config.period:
            return records_of(self.task, self.directory, self.run_config)
        return self._records_of_period()

    def _records_of_period(self) -> SiteData:
        period = self.run_config.period
        require_declared_records(self.directory, period, self.record_fingerprint)
        found = self.task.load(self.config.source, sides=NobodyHeldOut())
        if found.fewest_train_persons < FEWEST:
            raise PeriodWaits(
                f"{period} has fewer than {FEWEST} persons of a class: declare these records "
                "again, with those that come, for the next period"
            )
        return found

    @cached_property
    def record_fingerprint(self) -> str:
        """The fingerprint of the site's records, computed once a process."""
        return fingerprint_of(self.config.source)

    def keep_count_of_period(self, tally: Tally, score_bins: bytes) -> None:
        """Keep for the operator what this site counts of a later period; of no other run.

        Args:
            tally: Of this site alone.
            score_bins: By which scores are counted.

        Raises:
            PeriodChanged: The operator declared other records since these were read.
        """
        if self.run_config.period:
            model = self.run_config.evaluate_model
            with PeriodMemory.at(self.directory) as memory:
                memory.keep_count(
                    self.run_config.period,
                    OwnCount(model=model, score_bins=score_bins, tally=tally),
                    fingerprint=self.record_fingerprint,
                )

    @cached_property
    def map_facts(self) -> Mapping[str, str]:
        """The digests of the map and of the SQL by which the records are read; none without a map.

        Nor for a map that is none: by it nothing is read, and the run is refused for it.
        """
        try:
            found = map_digests(self.config.source)
        except ConsortiumError:
            return {}
        return {name: one for name, one in found._asdict().items() if one} if found else {}

    @property
    def mode(self) -> Mode:
        """The mode of the run."""
        return mode_of(self.run_config)

    def rng(self, server_round: int) -> np.random.Generator:
        """Return the generator of the order of records in a round; it protects nobody."""
        return site_rng(self.run_config.seed, self.config.name, server_round)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the charter, computed once."""
        return self.charter.fingerprint

    @cached_property
    def config_digest(self) -> str:
        """The digest of the run config, computed once."""
        return self.run_config.digest

    def require_charter(self, fingerprint: str) -> None:
        """Check that a message is bound to the charter this site signed.

        Raises:
            OtherCharter: It is not.
        """
        if fingerprint != self.fingerprint:
            raise OtherCharter("the message is bound to a charter that this site did not sign")

    @property
    def policy(self) -> Policy:
        """What the site accepts and lets out, as the file says at this moment.

        Raises:
            PolicyUnreadable: There is no policy.
        """
        return read_policy(self.directory)

    @property
    def min_others(self) -> int:
        """Sites besides this one in every encrypted sum: the stricter of charter and policy."""
        return max(self.charter.floors.min_others, self.policy.min_sites - 1)

    @property
    def min_sites(self) -> int:
        """Sites in every aggregate: the stricter of charter and policy."""
        return max(self.charter.floors.min_sites, self.policy.min_sites)

    def releases(self, tally: Tally) -> bool:
        """Return whether figures of this evaluation tally may be shown as this site's."""
        shown = self.policy.releases.own_figures and not self.run_config.period
        return shown and self.counts_enough(tally)

    def counts_enough(self, tally: Tally) -> bool:
        """Return whether enough persons of each class are behind an evaluation tally."""
        evaluation = self.task.evaluation
        counts = evaluation.class_counts(tally) or (evaluation.num_examples(tally),)
        return min(counts) >= self.policy.releases.minimum_count

    def releases_statistics(self) -> bool:
        """Return whether enough persons of each class are behind this site's statistics.

        Then they may be shown as its own, if its policy allows figures of its own at all.
        """
        releases = self.policy.releases
        return releases.own_figures and self.data.fewest_train_persons >= releases.minimum_count

    def to_pool(self, tally: Tally, *, records: int) -> Tally:
        """Return counts as they may leave, to be pooled: zeros if they are of too few records.

        Under encryption nobody sees the counts of one site, and all of them are pooled.
        """
        releases = self.policy.releases
        return self.mode.pooled_tally(tally, records=records, releases=releases)

    def groups_to_pool(self, tally: Tally) -> Tally:
        """Return evaluation counts as they may leave: in the clear without groups of few persons.

        The coordinator reads the counts of one site there, so a group needs as many records of
        each class as the policy wants of a site that is pooled.
        """
        if not self.mode.coordinator_reads:
            return tally
        fewest = self.policy.releases.minimum_pooled
        return without_small_groups(self.task.evaluation, tally, fewest)

    def told_examples(self, num_examples: int) -> int:
        """Return a number of training examples as it may be told: rounded in the clear.

        A site with nobody to train on says 1, so that what it sends has the smallest weight.
        """
        return self.mode.told_examples(max(num_examples, 1), self.policy.releases)

    def introduced_examples(self, num_examples: int) -> int:
        """Return a number of training examples as it may be told when the site joins."""
        return self.mode.introduced_examples(num_examples, self.policy.releases)


def records_of(task: Task[SiteData], directory: Path, config: RunConfig) -> SiteData:
    """Return the records of a site, each person on the side that the site remembers.

    Raises:
        BadSite: There is no site.
        ConsortiumError: The records cannot be read, or a person is on another side than before.
    """
    source = read_site_config(directory).source
    found = task.load(source, sides=sides_of(directory, source, config))
    return with_validation_part(found, directory)


def model_plan(config: RunConfig, table: AnySchema) -> AnyModelPlan:
    """Return which model a run trains on records of this schema."""
    return config.table_model if isinstance(table, Schema) else config.text_model


def own_plan(plan: AnyModelPlan, site: Site) -> AnyModelPlan:
    """Return the plan of a run at a site: with the site's own encoder, where encoders may differ.

    They may where only answers to agreed texts are averaged. No digest binds a site to its own.
    """
    own = site.config.encoder
    may_differ = site.run_config.learner.lets_encoders_differ
    if own and may_differ and isinstance(plan, TextModelPlan):
        return replace(plan, base=own, digest="")
    return plan


def site_rng(seed: int, site: str, server_round: int) -> np.random.Generator:
    """Return a generator that depends on the run's seed, the site and the round only."""
    key = (zlib.crc32(site.encode()), server_round)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def site_of(context: "Context") -> Site:
    """Return the site that this process is, with its records cached in the process.

    Guarantee: nothing is cached that was read from other files than lie there now: of another run
    in the same directory, or of records that were replaced. The rows of a query are cached as long
    as charter and `site.json` are the same files.

    Raises:
        BadSite: The directory does not hold a `site.json`.
        ConsortiumError: The charter or the run config cannot be read.
    """
    found = _READ_ONCE.get()
    if found is None:
        return _current_site(context)
    if id(context) not in found:
        found[id(context)] = _current_site(context)
    return found[id(context)]


@contextmanager
def sites_read_once() -> Iterator[None]:
    """Look once, within this block, which site a context is and whether its files changed.

    The block is the answer to one message, during which the context lives. All that answers it
    then goes by the same charter.
    """
    with value_in_block(_READ_ONCE, {}):
        yield


_READ_ONCE: ContextVar[dict[int, Site] | None] = ContextVar("sites", default=None)


def _current_site(context: "Context") -> Site:
    canonical = json.dumps(context.run_config, sort_keys=True)
    directory = site_directory(context)
    _forget_replaced(directory)
    return _SITES.get(
        (directory, canonical),
        lambda: _read_site(directory, canonical),
        fits=lambda site: (
            site.read_from == _files_of(directory, site.config)
            and (
                not site.run_config.period or site.config == _config_of(directory, site.run_config)
            )
        ),
    )


_SITES: Cache[tuple[Path, str], Site] = SITE_PROCESS.cache("sites", most=1_024)
_CHARTERS: Cache[Path, tuple[FileIdentity, ...]] = SITE_PROCESS.cache("charters", most=1_024)


def _forget_replaced(directory: Path) -> None:
    """Let go of what the process keeps of a directory whose charter is another file.

    A run that was deleted and staged again at the same path would else write its evidence to the
    files of the first, which nobody can open any more.
    """
    now = file_identities(SiteDirectory(directory).charter)
    if _CHARTERS.get(directory, lambda: now) != now:
        SITE_PROCESS.forget(directory)
        _CHARTERS.put(directory, now)


def _read_site(directory: Path, run_config: str) -> Site:
    parsed = RunConfig.parse(json.loads(run_config))
    config = _config_of(directory, parsed)
    return Site(
        directory=directory,
        config=config,
        # before they are read: a file that is replaced meanwhile is read again next time
        read_from=_files_of(directory, config),
        charter=Charter.read(SiteDirectory(directory).charter),
        run_config=parsed,
    )


def _config_of(directory: Path, run_config: RunConfig) -> SiteConfig:
    """Return what the operator decided, for the records that a run is about."""
    config, period = read_site_config(directory), run_config.period
    return config_of_period(directory, config, period) if period else config


def _files_of(directory: Path, config: SiteConfig) -> tuple[FileIdentity, ...]:
    place = SiteDirectory(directory)
    return tuple(
        identity
        for path in (place.config, place.charter, *source_paths(config.source))
        for identity in file_identities(path)
    )
