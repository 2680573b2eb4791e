"""Differential privacy of a run that counts: every site adds noise to whole numbers.

What is asked of it are `dp.unit`, `dp.epsilon` and `dp.delta`, or `dp.noise-multiplier`, and
`dp.max-records-per-person`; nothing is clipped, sampled or trained in steps.
"""

from dataclasses import dataclass, replace

from consortium.differential_privacy import DifferentiallyPrivate, NotPrivate, Privacy, PrivacyKeys
from privacy.differential.mechanisms import Gaussian
from sites.learners.count_noise import CountNoise


@dataclass(frozen=True)
class NoisyCounts(DifferentiallyPrivate):
    """Nobody's records can be told from the counts, up to what it costs.

    Its keys say of a step that it has everybody and is the only one of its round, so that what is
    announced before a run has the cost of this one.
    """

    @property
    def card(self) -> str:
        """What a model card says, as a sentence or two."""
        return (
            f"Counted with noise, differentially private by {self.unit}: {self._amount} for all "
            "rounds. Each site's ledger says what its persons have lost."
        )

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What a report lists."""
        asked = self.asked
        return (
            ("Who is protected", self.unit),
            *((("Delta of epsilon", f"{asked.delta:g}"),) if asked.epsilon else ()),
            ("Records of a person, at most", str(self.cap or "no limit: each is protected")),
            ("Noise", "discrete Gaussian, drawn by every site for each count and sum"),
            ("Counts before the exchange", "none: bins have equal width in declared bounds"),
            ("Held-out persons", "in no such count; exact counts of them measure a model"),
        )

    def lead(self, people: str, noun: str) -> str:
        """Return what a report that speaks of privacy begins with."""
        return (
            f"The counts are differentially private for {self._whom(people)}: {self._amount} over "
            f"all rounds. Every {noun} added noise where the records are, and counted the cost in "
            "a ledger of its own before it began."
        )

    def model_reveals(self, people: str) -> str:
        """Return what a report says about what the counts may reveal."""
        return (
            f"What the counts reveal about {self._whom(people)} is bounded by the differential "
            "privacy of this run. What exact counts of held-out records reveal, where a model is "
            "measured, is not."
        )

    def repetition_sentence(self, noun: str, seed: int) -> str:
        """Return what the same settings give again."""
        return (
            f"The same data, settings and seed ({seed}) do not give the same counts again: every "
            f"{noun} draws noise from its operating system, which nobody can repeat."
        )

    def event(self, *, noise_multiplier: float, rounds: int) -> Gaussian:
        """Return all planned rounds as one event."""
        return Gaussian(
            noise_multiplier=noise_multiplier,
            count=rounds,
            # One record moves the scaled tally by 1 at most: `BoundsEachRecord`.
            sensitivity=float(self.cap or 1),
            unit=self.unit,
            max_records_per_person=self.cap,
        )

    def noise(self, rounds: int) -> CountNoise:
        """Return what every site adds."""
        asked = self.asked
        return CountNoise(
            unit=self.unit,
            epsilon=asked.epsilon,
            delta=asked.delta,
            noise_multiplier=asked.noise_multiplier,
            most_records=self.cap or 1,
            rounds=rounds,
        )

    @property
    def _amount(self) -> str:
        asked = self.asked
        if asked.epsilon:
            return f"epsilon {asked.epsilon:g}"
        return f"noise multiplier {asked.noise_multiplier:g}"


def counts_privacy(keys: PrivacyKeys) -> Privacy:
    """Return what the keys mean in a run that counts."""
    if keys.parsed.budgeted is None:
        return NotPrivate()
    asked = replace(keys, sampling_rate=1.0, steps=1, clip_norm=1.0)
    return NoisyCounts(keys.parsed.budgeted.unit, asked)
