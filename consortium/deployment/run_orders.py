"""What the operator ordered: a run of the coordinator's, before Flower is told of it.

Flower's SuperLink starts whatever run it is sent by anybody who reaches its port. The
coordinator's ServerApp runs what was ordered here, once, and nothing else.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import write_atomically
from privacy.errors import ConsortiumError


class NotOrdered(ConsortiumError, PermissionError):
    """A run was submitted that the coordinator's operator did not order."""

    code = "not-ordered"


class RunOrder(BaseModel):
    """A run that is to begin.

    Args:
        run: Its directory.
        config: Its run config, whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Path
    config: Mapping[str, Scalar]

    def write(self, coordinator: Path) -> None:
        """Write the order where the ServerApp looks for it."""
        write_atomically(CoordinatorDirectory(coordinator).last_run, str(self.run))
        write_atomically(CoordinatorDirectory(coordinator).order, self.model_dump_json(indent=1))


def claim_order(coordinator: Path, submitted: Mapping[str, Scalar]) -> RunOrder:
    """Take the order that a submitted run is for; nobody takes it a second time.

    Args:
        coordinator: The coordinator's directory.
        submitted: The run config that came with the run.

    Raises:
        NotOrdered: There is no order, or one for another config.
    """
    path = CoordinatorDirectory(coordinator).order
    try:
        order = RunOrder.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise NotOrdered("a run was submitted that nobody here ordered") from error
    if _canonical_json(order.config) != _canonical_json(submitted):
        raise NotOrdered("a run was submitted with another config than the one ordered")
    try:
        path.replace(RunDirectory(order.run).order)
    except OSError as error:
        raise NotOrdered("the run that was ordered has begun already") from error
    return order


def _canonical_json(config: Mapping[str, Scalar]) -> str:
    return json.dumps(dict(config), sort_keys=True)


def last_run(coordinator: Path) -> Path | None:
    """Return the directory of the run that was ordered last; None before the first."""
    path = CoordinatorDirectory(coordinator).last_run
    return Path(path.read_text()) if path.exists() else None
