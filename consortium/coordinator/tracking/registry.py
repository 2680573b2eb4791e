"""Which trackers there are, and which of them a run tells: the coordinator's own choice.

It is not in the run config, which sites agree to: it asks nothing of a site. It is in the
environment, so that it reaches the process that leads a run.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from consortium.coordinator.tracking import prometheus_file, tensorboard_folder
from consortium.coordinator.tracking.contract import RunName, Tracker
from consortium.coordinator.tracking.mlflow_folder import MlflowFolder
from consortium.coordinator.tracking.prometheus_file import PrometheusFile
from consortium.coordinator.tracking.prometheus_page import PrometheusPage, loopback_port
from consortium.coordinator.tracking.tensorboard_folder import TensorBoardFolder
from consortium.coordinator.tracking.trackers import MetricsOf, Trackers
from consortium.coordinator.tracking.wandb_folder import WandbFolder
from consortium.run.directory import TRACK
from privacy.errors import ConsortiumError, require_library, unknown_name

Begin: TypeAlias = Callable[[Path, RunName], Tracker]


class BadTracker(ConsortiumError, ValueError, code="bad-tracker"):
    """A tracker was asked for that there is not, or in a form that it does not have."""


@dataclass(frozen=True)
class TrackerKind:
    """A kind of tracker.

    Args:
        begin: Begins it at a path.
        require: Refuses a path, or a machine, on which it cannot work.
    """

    begin: Begin
    require: Callable[[Path], None]


def _require_suffix(path: Path) -> None:
    if path.suffix != prometheus_file.SUFFIX:
        raise BadTracker(
            f"node_exporter reads files whose name ends in {prometheus_file.SUFFIX}, got '{path}'"
        )
    if not path.parent.is_dir():
        raise BadTracker(f"there is no folder {path.parent}: make it, or name another")


def _require_tensorboard(_path: Path) -> None:
    named = tensorboard_folder
    require_library(named.PURPOSE, named.LIBRARY, extra=named.EXTRA)


def _require_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise BadTracker(f"figures go into a folder, but {path} is a file: name another")


KINDS: Mapping[str, TrackerKind] = {
    "mlflow": TrackerKind(MlflowFolder, _require_folder),
    "prometheus": TrackerKind(PrometheusFile, _require_suffix),
    "tensorboard": TrackerKind(TensorBoardFolder, _require_tensorboard),
    "wandb": TrackerKind(WandbFolder, _require_folder),
}


def parse_trackers(given: Sequence[str]) -> tuple[str, ...]:
    """Return what was asked for as KIND:PATH, with each path from the root.

    Raises:
        BadTracker: There is no such kind, or the path does not fit it.
        MissingLibrary: A library is not installed.
    """
    return tuple(_parsed(words) for words in given)


def _parsed(words: str) -> str:
    kind, colon, path = words.partition(":")
    if not colon or not path or not path.isprintable():
        raise BadTracker(f"a tracker needs KIND:PATH, such as tensorboard:curves; got '{words}'")
    if kind not in KINDS:
        raise BadTracker(unknown_name(kind, KINDS, kind="tracker"))
    if _is_page(kind, path):
        _require_loopback(path)
        return words
    if "://" in path:
        raise BadTracker(
            f"figures go to this machine only: {kind}:PATH names a path and no server; got "
            f"'{words}'"
        )
    place = Path(path).resolve()
    KINDS[kind].require(place)
    return f"{kind}:{place}"


def _is_page(kind: str, place: str) -> bool:
    return kind == "prometheus" and "://" in place


def _require_loopback(url: str) -> None:
    if loopback_port(url) is None:
        raise BadTracker(
            "figures are served to this machine only, at http://127.0.0.1:PORT, such as "
            f"prometheus:http://127.0.0.1:9109; got '{url}'"
        )


@contextmanager
def trackers_in_environment(words: Sequence[str]) -> Iterator[None]:
    """Ask for trackers of the runs that are led within this block, in whichever process.

    Args:
        words: What `parse_trackers` returned; if there are none, what is asked for already holds.
    """
    before = os.environ.get(TRACK)
    if words:
        os.environ[TRACK] = "\n".join(words)
    try:
        yield
    finally:
        if before is not None:
            os.environ[TRACK] = before
        else:
            os.environ.pop(TRACK, None)


def begin_trackers(
    metrics_of: MetricsOf,
    name: RunName,
    tell_failure: Callable[[str, str], None] = lambda _words, _why: None,
) -> Trackers:
    """Begin the trackers that the environment asks for.

    Args:
        metrics_of: Returns the released metrics of a round.
        name: The run.
        tell_failure: Is told of a tracker that fails, as `Trackers` says.
    """
    asked = os.environ.get(TRACK, "").split("\n")
    begun = {words: partial(_begin, words, name) for words in asked if words}
    return Trackers(metrics_of, begun, tell_failure)


def _begin(words: str, name: RunName) -> Tracker:
    kind, _, path = _parsed(words).partition(":")
    if _is_page(kind, path) and (port := loopback_port(path)) is not None:
        return PrometheusPage(port, name)
    return KINDS[kind].begin(Path(path), name)
