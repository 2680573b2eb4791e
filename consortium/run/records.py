"""The published records of a run: `summary.json`, `comparison.json` and the tallies.

The published JSON schema in `docs/` is generated from these models.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.run.convergence import Convergence, convergence_warning
from consortium.run.decisions import one_sided_warning
from consortium.run.directory import BadRunDirectory
from consortium.wording.saturation import saturation_warning
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import replace_atomically


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricValue(_Record):
    """A pooled metric, and a bound on its distance to the metric of the scores themselves."""

    value: float
    error_bound: float = 0.0


class SiteSummary(_Record):
    """A member of the consortium in this run: its weight, and how often it answered.

    Args:
        unchanged: How often it said that it has nothing new, which is no answer that is used.
    """

    name: str
    present: bool
    weight: int = 0
    answered: int = 0
    unchanged: int = 0


class QuarantineRecord(_Record):
    """A site that was left out of a round, and the code of the reason."""

    server_round: int
    site: str
    code: str
    counts: dict[str, int] = Field(default_factory=dict)


class Protection(_Record):
    """What a run's aggregation rule withstands, and what that costs.

    Args:
        rule: The rule.
        pre_step: The pre-aggregation of updates before the rule.
        claim: What the rule withstands, in words.
        liars: The number of malicious sites that the run was set to withstand.
        only_bounds: Whether each of them moves the model, but by no more than the claim says.
        voters: Inputs of the rule in a full round: sites, or bucket means under encryption.
        voters_needed: The fewest inputs with which it withstands the malicious sites.
        smallest_consortium: The fewest members that would suffice.
        buckets: The number of buckets under encryption; 0 in the clear.
        crowd: The fewest sites in a bucket; 0 in the clear.
        fixed_shows: Correlation with which the fixed buckets reveal one site's own direction;
            1 in the clear, where the coordinator reads it.
        reshuffled_shows: The same after twenty rounds, if buckets were drawn anew each round.
        bytes_down_per_site: Bytes of model and sums that a site downloads in a round.
    """

    rule: str
    pre_step: str
    claim: str
    liars: int
    only_bounds: bool = False
    voters: int
    voters_needed: int
    smallest_consortium: int
    buckets: int = 0
    crowd: int = 0
    fixed_shows: float = 1.0
    reshuffled_shows: float = 1.0
    bytes_down_per_site: int

    @property
    def spare(self) -> int:
        """The number of voters that may be missing in a round."""
        return self.voters - self.voters_needed

    @property
    def can_be_stopped(self) -> bool:
        """Whether the malicious sites can void every round by sending nothing or no numbers."""
        return self.spare < self.liars


class Saturation(_Record):
    """How many values of the sites' updates were beyond the scale, and so were cut off.

    Args:
        rounds: Rounds of which the sites released the number.
        values: The number, in the rounds in which it is above 0.
    """

    rounds: int
    values: dict[int, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, counted: Mapping[int, int], *, rounds: int) -> "Saturation | None":
        """Return it from the number in each round where it is known; None if in no round.

        Args:
            counted: Saturated values by round.
            rounds: Rounds of training; the evaluation after them has no updates.
        """
        trained = {at: number for at, number in counted.items() if at <= rounds}
        if not trained:
            return None
        return cls(rounds=len(trained), values={at: n for at, n in trained.items() if n})


class Summary(_Record):
    """One run.

    Args:
        status: Whether all rounds were completed; a parked run waits to be resumed.
        error: Code and text of the error that ended the run, if one did.
        started: ISO 8601, UTC.
        seconds: Wall time of the rounds, statistics and final evaluation.
        model_digest: SHA-256 of the final federated vector.
        hubs: The members behind each hub; empty without hubs.
        withheld: Why a finished run has no pooled figures, in words; empty if it has.
        metrics: Metrics pooled over the held-out persons of the sites in `evaluated`.
        site_metrics: Metrics of single sites, only where the site releases them.
        protection: What the rule withstands; None if the run ended before its layout was known.
        saturation: Values beyond the scale under encryption; None if nobody released their number.
        convergence: How the pooled loss ended; None if too few rounds have one.
    """

    version: Literal[1] = 1
    name: str
    task: str
    status: Literal["finished", "parked", "failed"]
    error: str = ""
    started: str
    seconds: float
    seed: int
    config: dict[str, str | int | float | bool]
    versions: dict[str, str]
    charter_fingerprint: str
    layout_digest: str = ""
    dim: int = 0
    model_digest: str = ""
    rounds: int
    sites: list[SiteSummary]
    hubs: dict[str, list[str]] = Field(default_factory=dict)
    evaluated: list[str] = Field(default_factory=list)
    held_out: int = 0
    withheld: str = ""
    metrics: dict[str, MetricValue] = Field(default_factory=dict)
    site_metrics: dict[str, dict[str, MetricValue]] = Field(default_factory=dict)
    quarantined: list[QuarantineRecord] = Field(default_factory=list)
    bytes_down: int = 0
    bytes_up: int = 0
    protection: Protection | None = None
    saturation: Saturation | None = None
    convergence: Convergence | None = None

    @property
    def saturation_warning(self) -> str:
        """What readers are told of values that were cut off; "" if none were."""
        values = self.saturation.values if self.saturation else {}
        return saturation_warning(
            values,
            first_scale=float(self.config.get("first-scale", 1.0)),
            liars=int(self.config.get("rule.num-byzantine", 0)),
            uncounted=max(0, self.rounds - self.saturation.rounds) if self.saturation else 0,
        )

    @property
    def convergence_warning(self) -> str:
        """What readers are told of a loss that had not settled; "" if it had, or none is known."""
        found = self.convergence
        return convergence_warning(found, rounds=self.rounds) if found is not None else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What readers are warned of at the end of a run."""
        told = (self.decision_warning, self.convergence_warning, self.saturation_warning)
        return tuple(filter(None, told))

    @property
    def decision_warning(self) -> str:
        """What readers are told of a threshold that separates nobody; "" if it does."""
        shares = {name: found.value for name, found in self.metrics.items()}
        if not {"recall", "specificity"} <= {*shares}:
            return ""
        match shares["recall"], shares["specificity"]:
            case 0.0, 1.0:
                return one_sided_warning("none", self.held_out)
            case 1.0, 0.0:
                return one_sided_warning("all", self.held_out)
        return ""


class SyntheticRecords(_Record):
    """`synthetic.json`: records of a run that are made up, and nobody's.

    Args:
        story: What they are, in words.
        sites: The sites whose records they are; others brought their own.
    """

    version: Literal[1] = 1
    story: str
    sites: tuple[str, ...]


class SitePairs(_Record):
    """Pairs of a negative and a positive held-out record of one site each, added up over sites.

    Args:
        concordant: Pairs in which the positive record is in a higher score bin.
        undecided: Pairs within one bin.
        total: All pairs.
    """

    concordant: int
    undecided: int
    total: int


class Tallies(_Record):
    """`statistics.json` and `evaluation.json`: the tallies that the report is made from.

    Args:
        pooled: The pooled tally of all sites that answered.
        by_site: Tallies of single sites, only where the site releases its own.
        score_bins: By which scores are counted, hexadecimal; empty for bins of equal width.
        pairs: The pairs within sites, if the sites counted them sealed and released the sum.
        server_round: The round of an evaluation, which is of the model that it started with; None
            if it is not known, as in version 0.1.0.
    """

    version: Literal[1] = 1
    pooled: list[int]
    score_bins: str = ""
    pairs: SitePairs | None = None
    server_round: int | None = None
    by_site: dict[str, list[int]] = Field(default_factory=dict)


class Chosen(_Record):
    """The values that a way of training chose for itself.

    Args:
        settings: By key of the run config; empty if none of its trials has a figure.
        figure: The metric by which it chose, on a part of its training records.
        failed: Why there is none. It is then trained with the values that the run was given.
    """

    settings: dict[str, str | int | float | bool] = {}
    figure: float | None = None
    failed: str = ""

    @property
    def words(self) -> str:
        """The values as people read them; empty if there are none."""
        shown = {
            key: f"{value:.4g}" if isinstance(value, float) else str(value)
            for key, value in self.settings.items()
        }
        return ", ".join(f"{key} {value}" for key, value in shown.items())


class Search(_Record):
    """How each way of training was tuned for itself, all of them alike.

    Args:
        searches: What was searched, as it is written.
        trials: How many each way of training had.
        rounds: Rounds of training at each rung of the schedule.
        validation_left_out: Whether nobody on whom trials were judged is trained on in the models
            that are compared, as in private runs; else these are trained on all training records.
        epsilons: What the search and the run cost a person, by site; empty without privacy.
    """

    searches: list[str]
    trials: int
    rounds: list[int]
    validation_left_out: bool
    epsilons: dict[str, float] = {}

    @property
    def basis(self) -> str:
        """On what the values were chosen, as the end of a sentence."""
        after = (
            "which the models that are compared are not trained on"
            if self.validation_left_out
            else "then trained on all of them"
        )
        return (
            f"the best of {self.trials} trials on a fifth of its training persons, {after}; the "
            "held-out records had no say"
        )


class Arm(_Record):
    """One way of training, measured on the held-out persons of all sites.

    Args:
        name: Its name for readers.
        kind: Whether it was trained at one site alone, by the consortium, or on pooled records;
            `trained` is a model by gradients on pooled records, beside a learner that counts;
            `personal` stands for the models that the sites made for themselves out of the shared
            one, each on the held-out persons of its own site.
        site: The site, when alone.
        value: The metric on the held-out persons of all sites.
        low: Lower end of the 95 % bootstrap interval over persons.
        high: Upper end.
        own_value: The metric on the site's own held-out persons, where defined.
        federated_on_own: That of the shared model on the same persons.
        personal_on_own: That of the model that the site made for itself out of the shared one.
        chosen: The values that it chose for itself, if each way of training was tuned.
    """

    name: str
    kind: Literal["alone", "federated", "pooled", "trained", "personal"]
    site: str = ""
    value: float
    low: float
    high: float
    own_value: float | None = None
    federated_on_own: float | None = None
    personal_on_own: float | None = None
    chosen: Chosen | None = None


class Difference(_Record):
    """Federated minus another arm, paired on the same resampled persons."""

    against: str
    value: float
    low: float
    high: float


class MeanGain(_Record):
    """Federated over the mean of the sites' own models, paired on the same resampled persons.

    Args:
        mean_alone: The mean of the metric over the sites' own models.
        ratio: The federated metric, divided by it.
        low: Lower end of the 95 % bootstrap interval of the ratio.
        high: Upper end.
    """

    mean_alone: float
    ratio: float
    low: float
    high: float


class Comparison(_Record):
    """Each site alone, the consortium and pooled records, on the same held-out persons.

    Args:
        over_mean_alone: The gain over the mean of the models trained alone; None where that mean
            is 0 in a resample, or was not measured.
        untrained: Sites with nobody to train on, which have no model of their own.
        nobody_held_out: Sites that hold nobody out, which have no figures of their own.
        search: How each way of training was tuned for itself; None if all have one run config.
    """

    version: Literal[1] = 1
    metric: str
    metric_title: str
    higher_is_better: bool
    held_out: int
    resamples: int
    arms: list[Arm]
    differences: list[Difference]
    over_mean_alone: MeanGain | None = None
    seconds: float
    untrained: list[str] = []
    nobody_held_out: list[str] = []
    search: Search | None = None


Record = TypeVar("Record", bound=BaseModel)

Entries: TypeAlias = Iterable[tuple[str, Any]]


def write_record(path: Path, record: BaseModel, **mappings: Entries) -> None:
    """Write a record as JSON, atomically.

    Args:
        path: The file to write.
        record: The record to write.
        mappings: Fields to write in place of the record's own, one entry at a time, so that the
            values of all sites are never in memory at once.
    """
    with replace_atomically(path) as file:
        write_json_object(file, record.model_dump_json(indent=1, exclude=set(mappings)), **mappings)


def write_json_object(file: TextIO, text: str, **mappings: Entries) -> None:
    """Write a JSON object that has at least one field, with mappings added after its fields."""
    file.write(text.removesuffix("}").rstrip())
    for name, entries in mappings.items():
        file.write(f', "{name}": {{')
        for index, (key, value) in enumerate(entries):
            file.write(f"{', ' if index else ''}{json.dumps(key)}: {json.dumps(value)}")
        file.write("}")
    file.write("}")


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a record.

    Raises:
        BadRunDirectory: The file does not exist or does not hold such a record.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadRunDirectory(
            f"{path} cannot be read ({error.strerror}): name the directory of a finished run"
        ) from error
    except ValidationError as error:
        mistakes = document_mistakes(error, kind)
        raise BadRunDirectory(
            f"{path} is not a valid {kind.__name__.lower()}: {mistakes}"
        ) from error


def json_schemas() -> Mapping[str, str]:
    """Return the JSON schemas published in `docs/`, by name."""
    kinds: dict[str, type[BaseModel]] = {
        "summary": Summary,
        "comparison": Comparison,
        "tallies": Tallies,
    }
    return {
        name: json.dumps(kind.model_json_schema(), indent=1) + "\n" for name, kind in kinds.items()
    }
