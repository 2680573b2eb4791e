"""What a site accepts and lets out: its operator's decisions, in a file beside the data.

The file, `policy.json`, lies in the site's own directory, outside of what a coordinator can ship.
A run goes by the stricter of charter and policy. The default allows no task at all: what is not
named is not allowed.
"""

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from privacy.errors import ConsortiumError
from privacy.policy.violations import OutsideHours, QuestionNotAllowed, TooFewExamples

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
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
Clock = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class PolicyUnreadable(ConsortiumError, ValueError):
    """A site has no policy, or one that cannot be read; without one it answers nothing."""

    code = "policy-unreadable"


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Ceiling(_Closed):
    """The most privacy that data may lose, ever, over all runs: a budget of the ledger.

    Args:
        epsilon: Above 0.
        delta: Above 0, below 1; at most one tenth of one over the persons is advisable.
    """

    epsilon: float = Field(gt=0.0)
    delta: float = Field(gt=0.0, lt=1.0)


class PrivacyTerms(_Closed):
    """What the site asks of differential privacy.

    Args:
        required: Whether every training must be differentially private.
        unit: Whom it must protect; `record` is content with either.
        ceilings: The most that may be lost, by data set; `*` stands for any that is not named.
    """

    required: bool = True
    unit: Literal["person", "record"] = "person"
    ceilings: dict[str, Ceiling] = {EVERY_DATA_SET: Ceiling(epsilon=3.0, delta=1e-6)}

    def ceiling(self, data_set: str = EVERY_DATA_SET) -> Ceiling | None:
        """Return the ceiling of a data set, or None if the site set none."""
        return self.ceilings.get(data_set, self.ceilings.get(EVERY_DATA_SET))


class Pace(_Closed):
    """How much the site answers.

    Args:
        rounds_per_run: Rounds of training in a run.
        rounds_per_day: Rounds of training in 24 hours, over all runs.
        messages_per_hour: Questions of any kind in an hour.
    """

    rounds_per_run: int = Field(default=100, ge=1)
    rounds_per_day: int = Field(default=200, ge=1)
    messages_per_hour: int = Field(default=1_000, ge=1)


class Volume(_Closed):
    """How many bytes may leave.

    Args:
        per_message: In one answer.
        per_round: In one round of one run, all attempts together.
    """

    per_message: int = Field(default=2**26, ge=1)
    per_round: int = Field(default=2**28, ge=1)


class Releases(_Closed):
    """Which figures may leave. The list is closed: what is not here does not leave.

    Args:
        own_figures: Whether figures of this site alone may be shown.
        pooled_figures: Whether figures pooled over all sites of an encrypted run may be told
            to its coordinator.
        minimum_count: Fewest persons of each class behind a figure that is shown.
        minimum_pooled: Fewest records behind counts that leave in the clear, to be pooled;
            fewer leave as zeros.
        examples_rounded_to: The number of training examples that is told in the clear is
            rounded down to a multiple of this.
        refusal_counts: Whether counts leave beside a refusal, such as the number of values that
            break the schema; those of the policy itself always do.
    """

    own_figures: bool = False
    pooled_figures: bool = True
    minimum_count: int = Field(default=10, ge=1)
    minimum_pooled: int = Field(default=10, ge=0)
    examples_rounded_to: int = Field(default=10, ge=1)
    refusal_counts: bool = False

    def rounded_examples(self, examples: int) -> int:
        """Return a number of training examples as it may be told: 1 or a multiple, never more."""
        step = self.examples_rounded_to
        return max(examples // step * step, min(examples, 1))


class Window(_Closed):
    """Hours of the week, in UTC, in which the site answers.

    Args:
        days: Of the week.
        opens: The first minute, such as `08:00`.
        closes: The minute after the last one; `24:00` for the end of the day.
    """

    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)
    opens: Clock
    closes: Clock

    def holds(self, now: datetime) -> bool:
        """Return whether a moment is in the window."""
        moment = now.astimezone(UTC)
        return DAYS[moment.weekday()] in self.days and (
            self.opens <= moment.strftime("%H:%M") < self.closes
        )


class Policy(_Closed):
    """What a site accepts and lets out; each default is the strict one.

    Args:
        tasks: Use cases the site takes part in.
        models: Models it trains.
        columns: Columns a charter may read, label and person identifier included.
        max_dim: Most numbers in the vector that travels.
        layouts: Digests of the layouts that may travel; any within `max_dim` if none is named.
        require_encryption: Whether every run must be encrypted.
        privacy: What is asked of differential privacy.
        min_examples: Fewest training records with which the site takes part.
        min_sites: Fewest sites, this one included, in every sum: under encryption this site
            checks it, in the clear it is the quorum that the coordinator promises.
        pace: How much the site answers.
        volume: How many bytes may leave.
        releases: Which figures may leave.
        questions: Kinds of questions that are answered.
        windows: Hours in which they are; at any time if none is named.
        mistakes_kept: Most held-out texts that the final model reads wrongly to be kept in a file
            at the site, for its own people; they never leave. None unless its operator asks.
    """

    version: Literal[1] = 1
    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    max_dim: int = Field(default=1_000_000, ge=1)
    layouts: tuple[str, ...] = ()
    require_encryption: bool = True
    privacy: PrivacyTerms = PrivacyTerms()
    min_examples: int = Field(default=100, ge=1)
    min_sites: int = Field(default=3, ge=1)
    pace: Pace = Pace()
    volume: Volume = Volume()
    releases: Releases = Releases()
    questions: tuple[QuestionKind, ...] = QUESTIONS
    windows: tuple[Window, ...] = ()
    mistakes_kept: int = Field(default=0, ge=0, le=10_000)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def write(self, directory: Path) -> None:
        """Write the policy into a site's directory."""
        (directory / FILE).write_text(self.model_dump_json(indent=1) + "\n")

    def require_question(self, question: str) -> None:
        """Check that a kind of question is answered.

        Raises:
            QuestionNotAllowed: It is not.
        """
        if question not in self.questions:
            raise QuestionNotAllowed("the policy does not allow questions of this kind")

    def require_hours(self, now: datetime) -> None:
        """Check that the site answers at a moment.

        Raises:
            OutsideHours: It does not.
        """
        if self.windows and not any(window.holds(now) for window in self.windows):
            raise OutsideHours("the policy allows other hours only")

    def require_examples(self, examples: int) -> None:
        """Check that there are enough training records.

        Raises:
            TooFewExamples: There are not; how many there are is not told.
        """
        if examples < self.min_examples:
            raise TooFewExamples(
                f"the policy asks for {self.min_examples} training records to take part",
                needed=self.min_examples,
            )


def read_policy(directory: Path) -> Policy:
    """Return the policy in a site's directory, as it is now.

    Raises:
        PolicyUnreadable: There is none, or it is not a policy.
    """
    path = directory / FILE
    try:
        facts = path.stat()
        return _parse_policy(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    except OSError as error:
        raise PolicyUnreadable(
            f"no policy can be read at {path}: a site without a policy answers nothing"
        ) from error
    except ValidationError as error:
        raise PolicyUnreadable(f"{path} is not a policy: {error}") from error


@lru_cache(maxsize=1_024)
def _parse_policy(path: Path, *_as_it_is_now: int) -> Policy:
    return Policy.model_validate_json(path.read_text())
