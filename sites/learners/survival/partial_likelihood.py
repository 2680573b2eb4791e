"""Cox's partial likelihood of the records of one site (Cox 1972), with tied events.

Efron's (1977) and Breslow's (1974) treatment of ties, as in Therneau and Grambsch 2000, 3.3.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector

Ties = Literal["efron", "breslow"]
_LOWEST = -600.0  # of a linear predictor below the largest: a smaller weight would be 0


@dataclass(frozen=True, kw_only=True)
class Derivatives:
    """A log-likelihood and its derivatives.

    Args:
        log_likelihood: Its value.
        score: First derivatives, shape (p,).
        information: Second derivatives, negative, shape (p, p).
    """

    log_likelihood: float
    score: Vector
    information: Matrix


@dataclass(frozen=True, eq=False)
class Ends:
    """When and how records ended.

    Args:
        times: Shape (n,).
        events: Whether with the event, shape (n,).
    """

    times: Vector
    events: NDArray[np.bool_]


def partial_likelihood(x: Matrix, ends: Ends, coefficients: Vector, ties: Ties) -> Derivatives:
    """Return the partial log-likelihood of records that share a baseline hazard.

    Each event divides the weight of who had it by that of all that were at risk. Where d events
    tie, they are d terms: by Efron the weight of those who had them leaves the risk set by d equal
    parts, by Breslow it stays.

    Args:
        x: Covariates, shape (n, p).
        ends: Of the same records.
        coefficients: Shape (p,).
        ties: How tied events are treated.
    """
    order = np.argsort(-ends.times, kind="stable")
    # A likelihood of comparisons is the same from any origin. From a record's own values, what all
    # records have alike is 0 to the bit, and not a rounding that would pass for information.
    x, times, events = (x - x[:1])[order], ends.times[order], ends.events[order]
    n, p = x.shape
    if not events.any():
        return Derivatives(log_likelihood=0.0, score=np.zeros(p), information=np.zeros((p, p)))
    predictor = x @ coefficients
    top = predictor.max()
    weights = np.exp(np.maximum(predictor - top, _LOWEST))
    terms = _terms(times, events, ties)
    tied = _tied_sums(terms, weights, x, events)
    in_all = np.cumsum(weights)[terms.last] - terms.share * tied.weight
    mean = (np.cumsum(weights[:, None] * x, axis=0)[terms.last] - terms.share[:, None] * tied.x) / (
        in_all[:, None]
    )
    # The second moments of all terms are one product: each record has the sum of 1 / (total weight)
    # over the terms at whose risk it was.
    at_risk = np.zeros(n + 1)
    np.add.at(at_risk, terms.last, 1 / in_all)
    shares = np.cumsum(at_risk[::-1])[::-1][:n]
    left = np.zeros(len(terms.times))
    np.add.at(left, terms.of_time, terms.share / in_all)
    shares[events] -= left[terms.time_of_event]
    second = (x * (weights * shares)[:, None]).T @ x
    information = second - mean.T @ mean
    return Derivatives(
        log_likelihood=float((predictor[events] - top).sum() - np.log(in_all).sum()),
        score=x[events].sum(axis=0) - mean.sum(axis=0),
        information=(information + information.T) / 2,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Terms:
    """The terms of the likelihood: one for each event, shape (n_events,) each.

    Args:
        times: The distinct times of events, descending.
        of_time: The place in `times` of each term.
        last: The last record at risk, in descending order of times.
        share: The part of the tied events' weight that has left the risk set.
        time_of_event: The place in `times` of each event record.
    """

    times: Vector
    of_time: NDArray[np.int64]
    last: NDArray[np.int64]
    share: Vector
    time_of_event: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Tied:
    weight: Vector
    x: Matrix


def _terms(times: Vector, events: NDArray[np.bool_], ties: Ties) -> _Terms:
    found, place, count = np.unique(-times[events], return_inverse=True, return_counts=True)
    last = np.searchsorted(-times, found, side="right") - 1
    of_time = np.repeat(np.arange(len(found)), count)
    before = np.arange(len(of_time)) - (np.cumsum(count) - count)[of_time]
    share = before / count[of_time] if ties == "efron" else np.zeros(len(of_time))
    return _Terms(
        times=-found,
        of_time=of_time.astype(np.int64),
        last=last[of_time].astype(np.int64),
        share=share,
        time_of_event=place.astype(np.int64),
    )


def _tied_sums(terms: _Terms, weights: Vector, x: Matrix, events: NDArray[np.bool_]) -> _Tied:
    """Return the weight of the events that tie with each term, and their weighted covariates."""
    weight, sums = np.zeros(len(terms.times)), np.zeros((len(terms.times), x.shape[1]))
    np.add.at(weight, terms.time_of_event, weights[events])
    np.add.at(sums, terms.time_of_event, weights[events][:, None] * x[events])
    return _Tied(weight[terms.of_time], sums[terms.of_time])
