"""Whether a run protects persons by differential privacy, and all that this changes.

`dp.unit` is asked in this module only. Everybody else has the value that came of it, `NotPrivate`
or `DifferentiallyPrivate`, and asks it what to do. What a site does for either is in
`consortium.client.private_training`. What differs where a run counts is in
`consortium.private_counts`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from consortium.wording import formatting as words
from privacy.differential.mechanisms import Gaussian, SampledGaussian, Unit
from privacy.layout import Tally
from privacy.policy.run_request import AskedPrivacy
from sites.learners.count_noise import CountNoise
from sites.plans import ClipNorm, PrivacyPlan, PrivateSteps, RecordsOfPerson, SamplingRate
from sites.task import SiteData, Task


@dataclass(frozen=True, kw_only=True)
class PrivacyKeys:
    """What a run config says of privacy, as it stands there: the keys `dp.*`."""

    unit: Annotated[
        Literal["off", "person", "record"],
        Field(
            description="Who is protected: a `person` with all records, each `record` by itself, "
            "or nobody (`off`)."
        ),
    ] = "off"
    epsilon: Annotated[
        float,
        Field(
            ge=0,
            le=1_000,
            description="What all planned rounds together may cost; each site finds the noise for "
            "it. 0 where the noise is given.",
        ),
    ] = 0.0
    noise_multiplier: Annotated[
        float,
        Field(
            ge=0,
            le=1e6,
            description="The noise of a step over the clip norm. 0 where epsilon is given.",
        ),
    ] = 0.0
    delta: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="The delta of epsilon. 0 for one tenth of one over the next power of two "
            "above the number of a site's persons or records.",
        ),
    ] = 0.0
    clip_norm: ClipNorm = 1.0
    sampling_rate: SamplingRate = 0.05
    steps: PrivateSteps = 20
    max_records_per_person: RecordsOfPerson = PrivacyPlan.max_records_per_person

    @property
    def parsed(self) -> "Privacy":
        """What the keys mean."""
        return NotPrivate() if self.unit == "off" else DifferentiallyPrivate(self.unit, self)


@dataclass(frozen=True)
class NotPrivate:
    """Training promises nothing about single persons."""

    @property
    def label(self) -> str:
        """What an audit log says."""
        return "off"

    @property
    def policy_unit(self) -> Unit:
        """By what the ledgers of a scenario's sites count."""
        return "record"

    @property
    def budgeted(self) -> "DifferentiallyPrivate | None":
        """What a ledger reserves for."""
        return None

    @property
    def offered(self) -> AskedPrivacy | None:
        """What a site's policy is told."""
        return None

    @property
    def card(self) -> str:
        """What a model card says, as a sentence or two."""
        return (
            "Without differential privacy: the model may remember single records. Whoever has it "
            "can try to find out who was among them."
        )

    @property
    def coefficients(self) -> str:
        """What is said of the coefficients of a linear model."""
        return ""

    def model_reveals(self, people: str) -> str:
        """Return what a report says about what the model may reveal."""
        return (
            "Training was not private: without differential privacy there is no proven bound on "
            f"what the sums and the model reveal about single {people}."
        )

    def repetition_sentence(self, noun: str, seed: int) -> str:
        """Return what the same settings give again."""
        del noun
        return (
            f"The same data, settings and seed ({seed}) give exactly the same model, bit for bit, "
            "where the sites' processors are of the same kind."
        )

    @property
    def counts_statistics(self) -> bool:
        """Whether training records are counted."""
        return True

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What a report lists."""
        return ()

    def lead(self, people: str, noun: str) -> str:
        """Return what a report that speaks of privacy begins with."""
        del people, noun
        return "Training itself was not private in this run; what privacy costs was measured."

    def noise(self, rounds: int) -> CountNoise | None:
        """Return what every site adds to counts: nothing."""

    def require_consistent(self, *, class_balance: str, weighting: str) -> None:
        """Accept any other choice of the run config."""

    def statistics(self, task: Task[SiteData], data: SiteData) -> Tally:
        """Return what is counted of training records, for the constants that all scale by."""
        return task.statistics_of(data)


@dataclass(frozen=True)
class DifferentiallyPrivate:
    """Nobody's records can be told from the model, up to what it costs.

    Args:
        unit: Who is protected.
        asked: How much, as the run config says it.
    """

    unit: Unit
    asked: PrivacyKeys

    @property
    def label(self) -> str:
        """What an audit log says."""
        return self.unit

    @property
    def policy_unit(self) -> Unit:
        """By what the ledgers of a scenario's sites count."""
        return self.unit

    @property
    def budgeted(self) -> "DifferentiallyPrivate | None":
        """What a ledger reserves for."""
        return self

    @property
    def offered(self) -> AskedPrivacy | None:
        """What a site's policy is told; a site computes what is not said."""
        asked = self.asked
        return AskedPrivacy(
            unit=self.unit, epsilon=asked.epsilon or None, delta=asked.delta or None
        )

    @property
    def card(self) -> str:
        """What a model card says, as a sentence or two."""
        asked = self.asked
        amount = (
            f"epsilon {asked.epsilon:g}"
            if asked.epsilon
            else f"noise multiplier {asked.noise_multiplier:g}"
        )
        return (
            f"Differentially private by {self.unit}: {amount} for all rounds, clipped to "
            f"{asked.clip_norm:g}. Each site's ledger says what its persons have lost."
        )

    @property
    def coefficients(self) -> str:
        """What is said of the coefficients of a linear model."""
        return (
            "Private training adds noise, and it is in every coefficient: another run would give "
            "other ones, and a small one may have the wrong sign."
        )

    def model_reveals(self, people: str) -> str:
        """Return what a report says about what the model may reveal."""
        return (
            f"What the sums and the model reveal about {self._whom(people)} in training is bounded "
            "by the differential privacy of this run. What the counts of held-out records reveal "
            "is not."
        )

    def repetition_sentence(self, noun: str, seed: int) -> str:
        """Return what the same settings give again."""
        return (
            f"The same data, settings and seed ({seed}) do not give the same model again: every "
            f"{noun} draws records and noise from its operating system, which nobody can repeat."
        )

    @property
    def counts_statistics(self) -> bool:
        """Whether training records are counted."""
        return False

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What a report lists."""
        asked = self.asked
        delta = (
            f"{asked.delta:g}"
            if asked.delta
            else "of each site: one tenth of one over the next power of two above the number of "
            f"its {self.unit}s"
        )
        return (
            ("Who is protected", self.unit),
            *((("Delta of epsilon", delta),) if asked.epsilon else ()),
            ("Drawn for a step, each by itself", words.percent(asked.sampling_rate)),
            ("Steps in a round", str(asked.steps)),
            ("Most that one moves a step, in L2", str(asked.clip_norm)),
            ("Records of a person, at most", str(self.cap or "no limit: each is protected")),
            ("Counts before training", "none: numbers are scaled by declared bounds"),
            ("Evaluation", "exact counts of held-out persons, who are never trained on"),
        )

    def lead(self, people: str, noun: str) -> str:
        """Return what a report that speaks of privacy begins with."""
        epsilon = self.asked.epsilon
        promised = (
            f"epsilon {epsilon:g} over all rounds"
            if epsilon
            else f"noise of {self.asked.noise_multiplier} times the most that one moves a step"
        )
        return (
            f"Training was differentially private for {self._whom(people)}: {promised}. Every "
            f"{noun} clipped, drew and added noise where the records are, and counted the cost in "
            "a ledger of its own before it began. Those whose records were held out to measure the "
            "model were never trained on, and are not protected by that noise."
        )

    def require_consistent(self, *, class_balance: str, weighting: str) -> None:
        """Check that the other choices of the run config keep what is promised.

        Raises:
            ValueError: They do not.
        """
        if (self.asked.epsilon > 0) == (self.asked.noise_multiplier > 0):
            raise ValueError(
                "private training needs either dp.epsilon or dp.noise-multiplier above 0, and the "
                "other at 0"
            )
        if class_balance != "none":
            raise ValueError(
                "class balance needs counts of the training records, which private training "
                "does not release: set class-balance to none"
            )
        if weighting == "examples":
            raise ValueError(
                "exact example counts would show with private training: set weighting to "
                "classes or equal"
            )

    def statistics(self, task: Task[SiteData], data: SiteData) -> Tally:
        """Return zeros: nothing is counted, and numbers are scaled by declared bounds."""
        del data
        return np.zeros(task.statistics.layout.size, np.int64)

    def units(self, data: SiteData) -> int:
        """Return how many are protected at a site."""
        return data.train_persons if self.unit == "person" else data.train_examples

    @property
    def cap(self) -> int:
        """The most records of one person that are trained on; 0 for no limit.

        Where records are the units there is none: with one, a record more would put out another
        one, and the accounting would have to count both.
        """
        return self.asked.max_records_per_person if self.unit == "person" else 0

    def noise(self, rounds: int) -> CountNoise | None:
        """Return what every site adds to counts: nothing is counted."""

    def event(self, *, noise_multiplier: float, rounds: int) -> SampledGaussian | Gaussian:
        """Return all planned rounds as one event.

        Args:
            noise_multiplier: Of each step.
            rounds: Number of rounds.
        """
        return SampledGaussian(
            noise_multiplier=noise_multiplier,
            sampling_rate=self.asked.sampling_rate,
            steps=self.asked.steps * rounds,
            clip_norm=self.asked.clip_norm,
            unit=self.unit,
            max_records_per_person=self.cap,
        )

    def plan(self, *, noise_multiplier: float, cap_seed: int) -> PrivacyPlan:
        """Return how a site trains in one round."""
        return PrivacyPlan(
            unit=self.unit,
            noise_multiplier=noise_multiplier,
            clip_norm=self.asked.clip_norm,
            sampling_rate=self.asked.sampling_rate,
            steps=self.asked.steps,
            max_records_per_person=self.asked.max_records_per_person,
            cap_seed=cap_seed,
        )

    def _whom(self, people: str) -> str:
        return people if self.unit == "person" else "single records"


Privacy: TypeAlias = NotPrivate | DifferentiallyPrivate
