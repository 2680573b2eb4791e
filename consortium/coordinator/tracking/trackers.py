"""The trackers of a run, behind a wall: whatever one of them does, the run goes on."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from consortium.coordinator.tracking.contract import RoundFigures, Tracker
from consortium.run.records import MetricValue
from strategies.coordinator.messaging.events import RoundFinished, RunEvent

_LOG = logging.getLogger(__name__)

MetricsOf: TypeAlias = Callable[[RoundFinished], Mapping[str, MetricValue]]


class Trackers:
    """Tells trackers the released figures of each round.

    Guarantee: they are told what stands in `metrics.jsonl` of all sites together, and nothing of a
    single site. A tracker that raises is named once in the log and told nothing more.

    Args:
        metrics_of: Returns the released metrics of a round.
        begun: How to begin each tracker, by the words that asked for it.
    """

    def __init__(
        self,
        metrics_of: MetricsOf,
        begun: Mapping[str, Callable[[], Tracker]],
    ) -> None:
        self._metrics_of = metrics_of
        self._told: dict[str, Tracker] = {}
        for words, begin in begun.items():
            with self._dropped_if_it_raises(words):
                self._told[words] = begin()

    def note_event(self, event: RunEvent) -> None:
        """Tell the trackers of a finished round; other events hold no figures."""
        if not self._told or not isinstance(event, RoundFinished):
            return
        figures = self._figures_of(event)
        for words, tracker in [*self._told.items()]:
            with self._dropped_if_it_raises(words):
                tracker.note_round(figures)

    def close(self) -> None:
        """Tell the trackers that the run is over."""
        for words, tracker in [*self._told.items()]:
            with self._dropped_if_it_raises(words):
                tracker.close()
        self._told.clear()

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
        except Exception:  # noqa: BLE001 -- a program of others may raise anything
            self._told.pop(words, None)
            _LOG.warning("the tracker %s failed: it is told nothing more", words, exc_info=True)
