"""Figures of a run for Prometheus, in a file that node_exporter's textfile collector reads.

The format is that of
https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format, version 0.0.4.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from consortium.coordinator.tracking.contract import RoundFigures, RunName
from privacy.storage.durable_files import write_atomically

SUFFIX = ".prom"  # the collector reads no other files

_HELP = {
    "round": "The last round that finished.",
    "round_sites": "Sites that answered in that round.",
    "round_seconds": "Seconds that the round took.",
    "round_bytes_down": "Bytes that the coordinator sent in the round.",
    "round_bytes_up": "Bytes that the coordinator received in the round.",
    "metric_round": "The last round with released metrics; they are of the model it began with.",
    "metric": "Pooled metrics, as far as they are released.",
}


class PrometheusText:
    """Writes the last round's figures, and the last metrics that are known.

    Guarantee: not every round has metrics. Until the next one that has, those of the last one
    stay, and `consortium_metric_round` names it.

    Args:
        name: The labels of every sample.
    """

    def __init__(self, name: RunName) -> None:
        self._name = name
        self._measured: RoundFigures | None = None

    def after_round(self, told: RoundFigures) -> str:
        """Return the text once a round has finished."""
        self._measured = told if told.metrics else self._measured
        return exposition(told, self._name, self._measured)


class PrometheusFile:
    """Holds the text of `PrometheusText`.

    Guarantee: a reader sees the figures of one round, complete.

    Args:
        path: The file.
        name: The labels of every sample.
    """

    def __init__(self, path: Path, name: RunName) -> None:
        self._path, self._text = path, PrometheusText(name)

    def note_round(self, told: RoundFigures) -> None:
        """Replace the file."""
        write_atomically(self._path, self._text.after_round(told))

    def close(self, *, finished: bool) -> None:
        """Leave the file: its last figures stay until the next run."""


def exposition(told: RoundFigures, name: RunName, measured: RoundFigures | None = None) -> str:
    """Return the figures of a round in the text format of Prometheus.

    Args:
        told: The round.
        name: The labels of every sample.
        measured: The last round with metrics, if it is another one.
    """
    measured = told if told.metrics else measured
    labels = {"consortium": name.consortium, "run": name.run}
    course = {f"round_{what}": value for what, value in told.course.items()}
    lines: list[str] = []
    for what, value in {"round": told.server_round, **course}.items():
        lines += [*_head(what), _sample(what, labels, value)]
    if measured is None:
        return _text_of(lines)
    lines += [*_head("metric_round"), _sample("metric_round", labels, measured.server_round)]
    lines += _head("metric")
    for metric, value in measured.metrics.items():
        lines.append(_sample("metric", {**labels, "metric": metric}, value))
    return _text_of(lines)


def _text_of(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _head(what: str) -> Iterator[str]:
    yield f"# HELP consortium_{what} {_HELP[what]}"
    yield f"# TYPE consortium_{what} gauge"


def _sample(what: str, labels: Mapping[str, str], value: float) -> str:
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"consortium_{what}{{{told}}} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
