"""A site's policy: what it accepts and what may leave, as its operator decided.

The policy is the file `policy.json` in the site's own directory, which a coordinator cannot
change. A run must satisfy both the charter and the policy. The default allows no task at all:
whatever is not named is not allowed.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from privacy.errors import ConsortiumError, unknown_name
from privacy.policy.violations import OutsideHours, QuestionNotAllowed, TooFewExamples
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically
from privacy.storage.site_process import SITE_PROCESS, Cache

FILE = "policy.json"
EVERY_DATA_SET = "*"

QuestionKind: TypeAlias = Literal[
    "hello",
    "epoch",
    "rotate",
    "deliver",
    "open",
    "statistics",
    "train",
    "evaluate",
    "release",
]
QUESTIONS: tuple[QuestionKind, ...] = get_args(QuestionKind)
# Everything that sites can do in a round. Whoever adds a learner names it here, so that an operator
# can allow it; no policy allows it before.
LEARNERS: tuple[str, ...] = ("gradient", "describe", "glm", "trees", "scorecard", "cox", "distil")
# What a policy allows that says nothing of learners. Who wrote it before there was the key agreed
# to training, and never to a learner whose sums are exact.
AGREED_UNSAID: tuple[str, ...] = ("gradient",)
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_LATER_FIELDS = frozenset({"evaluations_a_run", "learners"})  # those that came after version 0.1.0
Clock = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class PolicyUnreadable(ConsortiumError, ValueError, code="policy-unreadable"):
    """A site has no policy, or it cannot be read. Without a policy a site answers nothing."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Ceiling(_Closed):
    """The most privacy that data may ever lose, over all runs: a budget of the ledger.

    Args:
        epsilon: Above 0.
        delta: Above 0, below 1; at most one tenth of 1 / persons is advisable.
    """

    epsilon: float = Field(gt=0.0)
    delta: float = Field(gt=0.0, lt=1.0)


class PrivacyTerms(_Closed):
    """The differential privacy that the site requires.

    Args:
        required: Whether every training must be differentially private.
        unit: Unit of privacy that is required; `record` accepts `person` as well.
        ceilings: The most that may be lost, by data set; `*` stands for all that are not named.
    """

    required: bool = True
    unit: Literal["person", "record"] = "person"
    ceilings: dict[str, Ceiling] = {EVERY_DATA_SET: Ceiling(epsilon=3.0, delta=1e-6)}

    def ceiling(self, data_set: str = EVERY_DATA_SET) -> Ceiling | None:
        """Return the ceiling of a data set, or None if the site set none."""
        return self.ceilings.get(data_set, self.ceilings.get(EVERY_DATA_SET))


class Pace(_Closed):
    """How often the site answers.

    Args:
        rounds_per_run: Most rounds of training in a run.
        rounds_per_day: Most rounds of training in 24 hours, over all runs.
        messages_per_hour: Most questions of any kind in an hour.
    """

    rounds_per_run: int = Field(default=100, ge=1)
    rounds_per_day: int = Field(default=200, ge=1)
    messages_per_hour: int = Field(default=1_000, ge=1)


class Volume(_Closed):
    """How many bytes may leave.

    Args:
        per_message: Most bytes in one answer.
        per_round: Most bytes in one round of one run, all attempts together.
    """

    per_message: int = Field(default=2**26, ge=1)
    per_round: int = Field(default=2**28, ge=1)


class Releases(_Closed):
    """Which figures may leave. This is an allow-list: nothing else leaves.

    Args:
        own_figures: Whether figures of this site alone may be shown.
        pooled_figures: Whether figures pooled over all sites of an encrypted run may be released
            to its coordinator.
        minimum_count: Fewest persons of each class behind a figure that is shown.
        minimum_pooled: Fewest records behind counts that leave in the clear to be pooled; if
            there are fewer, zeros leave instead.
        examples_rounded_to: In the clear, the number of training examples is rounded down to a
            multiple of this before it leaves.
        evaluation_rosters: In an encrypted run, for which sites together held-out records are
            evaluated exactly: for `one` roster only under a charter, or for `any`. With `any`, the
            held-out class totals of a site that is in one run and not in another can be
            subtracted from two pooled figures.
        refusal_counts: Whether a refusal includes counts, such as the number of values that break
            the schema. Counts about the policy itself are always included.
    """

    own_figures: bool = False
    pooled_figures: bool = True
    minimum_count: int = Field(default=10, ge=1)
    minimum_pooled: int = Field(default=10, ge=0)
    examples_rounded_to: int = Field(default=10, ge=1)
    evaluation_rosters: Literal["one", "any"] = "one"
    refusal_counts: bool = False

    def rounded_examples(self, examples: int) -> int:
        """Return a number of training examples as it may leave: rounded down to a multiple.

        A site with any examples says at least 1, because 0 would mean that it cannot train.
        """
        step = self.examples_rounded_to
        return max(examples // step * step, min(examples, 1))


class Window(_Closed):
    """Hours of the week, in UTC, in which the site answers.

    Args:
        days: Days of the week.
        opens: The first minute, such as `08:00`.
        closes: The minute after the last one; `24:00` is the end of the day.
    """

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)
    opens: Clock
    closes: Clock

    def holds(self, now: datetime) -> bool:
        """Return whether a time lies in the window."""
        moment = now.astimezone(UTC)
        return DAYS[moment.weekday()] in self.days and (
            self.opens <= moment.strftime("%H:%M") < self.closes
        )


class Policy(_Closed):
    """What a site accepts and what may leave. Every default is the strict choice.

    Args:
        tasks: Use cases the site takes part in.
        models: Models it trains.
        learners: What it does in a round: `gradient` is training, all others count and send sums,
            which are exact unless noise is asked for. If none is said, training only.
        columns: Columns a charter may read, label and person identifier included.
        max_dim: Most numbers in the federated vector.
        layouts: Digests of the allowed layouts; if empty, all layouts within `max_dim`.
        require_encryption: Whether every run must be encrypted.
        privacy: The differential privacy that is required.
        min_examples: Fewest training records with which the site takes part; with 0 it takes part
            with none, and adds what changes nothing.
        min_sites: Fewest sites, this one included, in every sum. In an encrypted run this site
            checks it; in the clear it is the quorum, and the site relies on the coordinator.
        pace: How often the site answers.
        volume: How many bytes may leave.
        releases: Which figures may leave.
        questions: Kinds of questions that the site answers.
        windows: Hours in which it answers; if empty, at any time.
        evaluations_a_run: Most states of one run whose exact counts over held-out persons leave;
            if none is said, one a round and one of the final state.
        mistakes_kept: Most misclassified held-out texts of the final model to be kept in a file at
            the site, for its own people. They never leave. 0 unless the operator wants them.
    """

    version: Literal[1] = 1
    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    learners: tuple[str, ...] = AGREED_UNSAID
    columns: tuple[str, ...] = ()
    max_dim: int = Field(default=1_000_000, ge=1)
    layouts: tuple[str, ...] = ()
    require_encryption: bool = True
    privacy: PrivacyTerms = PrivacyTerms()
    min_examples: int = Field(default=100, ge=0)
    min_sites: int = Field(default=3, ge=1)
    pace: Pace = Pace()
    volume: Volume = Volume()
    releases: Releases = Releases()
    questions: tuple[QuestionKind, ...] = QUESTIONS
    windows: tuple[Window, ...] = ()
    evaluations_a_run: int | None = Field(default=None, ge=0)
    mistakes_kept: int = Field(default=0, ge=0, le=10_000)

    @field_validator("learners")
    @classmethod
    def _learners_exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        # A mistyped name would allow less than its operator thinks, and say so only in a run.
        for name in names:
            if name not in LEARNERS:
                raise ValueError(unknown_name(name, LEARNERS, kind="learner"))
        return names

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal.

        A field that came after version 0.1.0 is part of it only where it is set, so that a policy
        written before keeps its digest.
        """
        fields = type(self).model_fields
        unset = {name for name in _LATER_FIELDS if getattr(self, name) == fields[name].default}
        return hashlib.sha256(self.model_dump_json(exclude=unset).encode()).hexdigest()

    def write(self, directory: Path) -> None:
        """Write the policy into a site's directory."""
        write_atomically(directory / FILE, self.model_dump_json(indent=1) + "\n")

    def require_question(self, question: str) -> None:
        """Check that the policy allows a kind of question.

        Raises:
            QuestionNotAllowed: It does not.
        """
        if question not in self.questions:
            raise QuestionNotAllowed("the policy does not allow questions of this kind")

    def most_evaluations(self, rounds: int) -> int:
        """Return how many states of a run with so many rounds may be evaluated."""
        most = self.evaluations_a_run
        return rounds + 1 if most is None else most

    def require_hours(self, now: datetime) -> None:
        """Check that the site answers at this time.

        Raises:
            OutsideHours: It does not.
        """
        if self.windows and not any(window.holds(now) for window in self.windows):
            raise OutsideHours("the policy allows other hours only")

    def require_examples(self, examples: int) -> None:
        """Check that there are enough training records.

        Raises:
            TooFewExamples: There are too few. The error deliberately does not say how many.
        """
        if examples < self.min_examples:
            raise TooFewExamples(
                f"the policy asks for at least {self.min_examples} training records to take part",
                needed=self.min_examples,
            )


def read_policy(directory: Path) -> Policy:
    """Return the current policy in a site's directory.

    Raises:
        PolicyUnreadable: The file is missing, or is not a policy.
    """
    path = directory / FILE
    try:
        # The cache key holds time, size and inode, so a change of the file takes effect at once
        # while an unchanged file is parsed once.
        facts = path.stat()
        as_it_is_now = (path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return _POLICIES.get(as_it_is_now, lambda: Policy.model_validate_json(path.read_bytes()))
    except OSError as error:
        raise PolicyUnreadable(
            f"no policy can be read at {path}: a site without a policy answers nothing; "
            "`consortium site install` writes one with the first kit"
        ) from error
    except ValidationError as error:
        raise PolicyUnreadable(
            f"{path} is not a policy: {document_mistakes(error, Policy)}"
        ) from error


_POLICIES: Cache[tuple[Path, int, int, int], Policy] = SITE_PROCESS.cache("policies", most=1_024)
