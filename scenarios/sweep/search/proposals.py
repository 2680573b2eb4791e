"""Which values each trial tries: drawn at random first, then where the first ones did well.

The second half is proposed by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) from
the figures of the first half at the first rung. So the trials of a sweep follow from its seed, and
not from how many of them run at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consortium.config import Scalar
from privacy.errors import require_library
from scenarios.sweep.search.space import Search

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial


class Proposals:
    """The values of the trials of one sweep, wave by wave.

    Args:
        searches: What is searched.
        seed: Of the sweep.
        first: Trials that are drawn at random.
        higher_is_better: Whether higher figures are better.

    Raises:
        MissingLibrary: Optuna is not installed.
    """

    def __init__(
        self, searches: Sequence[Search], *, seed: int, first: int, higher_is_better: bool
    ) -> None:
        require_library("to search a space", "optuna", extra="sweep")
        import optuna  # loaded where it is needed

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            # Optuna takes seeds of 32 bits.
            sampler=optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=first),
            direction="maximize" if higher_is_better else "minimize",
        )
        self._space = {one.key: _distribution(one) for one in searches}
        self._asked: list[Trial] = []

    def ask(self, count: int) -> list[dict[str, Scalar]]:
        """Return the values of as many further trials."""
        asked = [self._study.ask(self._space) for _ in range(count)]
        self._asked += asked
        return [dict(one.params) for one in asked]

    def tell(self, figures: Mapping[int, float], count: int) -> None:
        """Say what came of the first trials, once.

        Args:
            figures: The figure of each that has one, by its number, from 1.
            count: How many trials were run; those without a figure failed.
        """
        from optuna.trial import TrialState

        for number, one in enumerate(self._asked[:count], start=1):
            if number in figures:
                self._study.tell(one, figures[number])
            else:
                self._study.tell(one, state=TrialState.FAIL)


def _distribution(search: Search) -> BaseDistribution:
    from optuna import distributions

    match search.form:
        case "choice":
            return distributions.CategoricalDistribution(search.values)
        case "int":
            low, high = (int(one) for one in search.values)
            return distributions.IntDistribution(low, high)
    start, end = (float(one) for one in search.values)
    return distributions.FloatDistribution(start, end, log=search.form == "log")
