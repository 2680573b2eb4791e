"""The trackers of a run, behind a wall: whatever one of them does, the run goes on."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias

from consortium.coordinator.tracking.contract import RoundFigures, Tracker
from consortium.run.records import MetricValue
from strategies.coordinator.messaging.events import RoundFinished, RunEvent

_LOG = logging.getLogger(__name__)

MetricsOf: TypeAlias = Callable[[RoundFinished], Mapping[str, MetricValue]]


class Trackers:
    """Tells trackers the released figures of each round.

    Guarantee: they are told what stands in `metrics.jsonl` of all sites together, and nothing of a
    single site. A tracker that raises is named once, in the log and to `tell_failure`, and told
    nothing more.

    Args:
        metrics_of: Returns the released metrics of a round.
        begun: How to begin each tracker, by the words that asked for it.
        tell_failure: Is told the words of a tracker that failed, and why, with the next event.
    """

    def __init__(
        self,
        metrics_of: MetricsOf,
        begun: Mapping[str, Callable[[], Tracker]],
        tell_failure: Callable[[str, str], None] = lambda _words, _why: None,
    ) -> None:
        self._metrics_of = metrics_of
        self._tell_failure = tell_failure
        self._failures: list[tuple[str, str]] = []
        self._told: dict[str, Tracker] = {}
        for words, begin in begun.items():
            with self._dropped_if_it_raises(words):
                self._told[words] = begin()

    def note_event(self, event: RunEvent) -> None:
        """Tell the trackers of a finished round; other events hold no figures."""
        if self._told and isinstance(event, RoundFinished):
            figures = self._figures_of(event)
            for words, tracker in [*self._told.items()]:
                with self._dropped_if_it_raises(words):
                    tracker.note_round(figures)
        self._tell_failures()

    def close(self, *, finished: bool) -> None:
        """Tell the trackers that the run is over, once.

        Args:
            finished: Whether it came to its end.
        """
        for words, tracker in [*self._told.items()]:
            with self._dropped_if_it_raises(words):
                tracker.close(finished=finished)
        self._told.clear()
        self._tell_failures()

    def _tell_failures(self) -> None:
        """Tell of failures after the run's own record of an event, which one may precede."""
        failures, self._failures = self._failures, []
        for words, why in failures:
            with suppress(OSError):  # the disk that stopped the tracker may be the run's own
                self._tell_failure(words, why)

    def _figures_of(self, event: RoundFinished) -> RoundFigures:
        metrics = {name: metric.value for name, metric in self._metrics_of(event).items()}
        return RoundFigures(
            server_round=event.server_round,
            course={
                "sites": len(event.answered),
                "seconds": round(event.seconds, 6),
                "bytes_down": event.bytes_down,
                "bytes_up": event.bytes_up,
            },
            # programs read infinity as the largest number, or refuse the file
            metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        )

    @contextmanager
    def _dropped_if_it_raises(self, words: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- a program of others may raise anything
            self._told.pop(words, None)
            self._failures.append((words, _reason(error)))
            _LOG.warning("the tracker %s failed: it is told nothing more", words, exc_info=True)


def _reason(error: Exception) -> str:
    """Return a short reason; the log has all of it."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
