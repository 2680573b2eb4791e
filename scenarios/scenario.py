"""A scenario: data that say who the sites are and what they train, with the expected result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

import pandas as pd

from consortium.charter.document import Charter, Floors, Member
from consortium.config import RunConfig, Scalar, new_run_config
from scenarios.attacks.data_poisoning import require_table_schema
from scenarios.trials import PrivacyTrials, Trials
from sites.schema.tables import ClassLabel, EventTimeLabel, NumberLabel, Schema
from sites.schema.texts import AnyLabel, AnySchema, EntityLabel, MultiLabel

Engine: TypeAlias = Literal["inprocess", "simulation", "deployment"]
ENGINES: Mapping[str, Engine] = MappingProxyType({name: name for name in get_args(Engine)})


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The metric that a scenario is judged by.

    Args:
        name: As in `summary.json`.
        title: Its name for people.
        higher_is_better: Whether higher values are better.
    """

    name: str
    title: str
    higher_is_better: bool = True


AUC = Headline(name="roc_auc", title="AUC")
RECALL_AT_1_PERCENT = Headline(name="recall_at_1_percent", title="Recall at 1 % alerts")
MACRO_F1 = Headline(name="macro_f1", title="Macro F1")
ENTITY_F1 = Headline(name="entity_f1", title="Entity F1")
# How the scenarios of texts train an encoder with small adapters.
ENCODER_TRAINING: Mapping[str, Scalar] = MappingProxyType(
    {"local-optimizer": "adam", "learning-rate": 2e-3, "local-epochs": 1}
)
RMSE = Headline(name="rmse", title="Root mean squared error", higher_is_better=False)
CONCORDANCE = Headline(name="concordance", title="Concordance")


_HEADLINES: Mapping[type, Headline] = MappingProxyType(
    {
        MultiLabel: MACRO_F1,
        EntityLabel: ENTITY_F1,
        NumberLabel: RMSE,
        EventTimeLabel: CONCORDANCE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A consortium that can be run on one machine.

    Args:
        name: In kebab-case, for the command line.
        title: One sentence.
        story: What the data are, and how they are divided among the sites.
        task: Name of the task.
        table: Schema of the records.
        sites: Names of the sites, in the charter's order.
        run_config: What differs from the defaults.
        dataset: Name of the shipped data set; None if the records come from elsewhere.
        records: Returns the records if they are generated or the user's own.
        own_records: Whether the records are one corpus of the user's own.
        synthetic: Whether the records that it brings are made up, and nobody's: reports and model
            cards say so.
        split: The column that says `train` or `test`, if the records come with one.
        site_of_row: Returns the site of each record, shape (n_rows,).
        floors: The charter's limits.
        faults: Attack or carelessness by site, unless the user chooses other liars.
        trials: Further trials of `compare`, if the scenario is about liars.
        privacy: Further trials of `compare`, if the scenario is about privacy.
        headline: The metric that it is judged by.
    """

    name: str
    title: str
    story: str
    task: str
    table: AnySchema
    sites: tuple[str, ...]
    run_config: Mapping[str, Scalar]
    dataset: str | None = None
    records: Callable[[], pd.DataFrame] | None = None
    own_records: bool = False
    synthetic: bool = False
    split: str | None = None
    site_of_row: Callable[[pd.DataFrame], "pd.Series[str]"] | None = None
    floors: Floors = field(default_factory=Floors)
    faults: Mapping[str, str] = field(default_factory=dict)
    trials: Trials | None = None
    privacy: PrivacyTrials | None = None
    headline: Headline = AUC

    @property
    def charter(self) -> Charter:
        """The charter of the scenario's sites."""
        return Charter(
            name=self.name,
            task=self.task,
            table=self.table,
            members=tuple(Member(name=name) for name in self.sites),
            floors=self.floors,
        )

    @property
    def columns(self) -> Schema:
        """The schema of the scenario's table.

        Raises:
            NotATable: The records are texts.
        """
        return require_table_schema(self.table)

    def config_with(self, overrides: Mapping[str, Scalar]) -> RunConfig:
        """Return the scenario's run config with the user's choices in it.

        Raises:
            BadConfig: A key is unknown, a value out of range, or two values contradict each other.
        """
        # One person runs all sites here, and reads every warning: no site waits for its operator.
        own: Mapping[str, Scalar] = {"on-finding": "warn"}
        return new_run_config(own, self.run_config, overrides, task=self.task)


def scenario_of_charter(charter: Charter) -> Scenario:
    """Return what the charter of a run in progress says of its scenario, as resuming needs it."""
    return Scenario(
        name=charter.name,
        title=charter.name,
        story="",
        task=charter.task,
        table=charter.table,
        sites=charter.names,
        run_config={},
        floors=charter.floors,
        headline=headline_of(charter.table.label),
    )


def headline_of(label: AnyLabel) -> Headline:
    """Return the metric that a model of such a label is judged by, unless a scenario says more."""
    if isinstance(label, ClassLabel) and label.binary:
        return AUC if label.costs is None else RECALL_AT_1_PERCENT
    return _HEADLINES.get(type(label), MACRO_F1)
