"""Run orders: a run that the coordinator's operator has ordered, written before Flower is told.

Flower's SuperLink starts any run that anybody who reaches its port submits. The coordinator's
ServerApp executes only a run that was ordered here, and each order once.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from privacy.errors import ConsortiumError
from privacy.storage.durable_files import write_atomically


class NotOrdered(ConsortiumError, PermissionError, code="not-ordered"):
    """A run was submitted that the coordinator's operator did not order."""


class RunOrder(BaseModel):
    """An order to start a run.

    Args:
        run: The directory of the run.
        config: The complete run config.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: Path
    config: Mapping[str, Scalar]

    def write(self, coordinator: Path) -> None:
        """Write the order where the ServerApp looks for it."""
        write_atomically(CoordinatorDirectory(coordinator).last_run, str(self.run))
        write_atomically(CoordinatorDirectory(coordinator).order, self.model_dump_json(indent=1))


def claim_order(coordinator: Path, submitted: Mapping[str, Scalar]) -> RunOrder:
    """Claim the order for a submitted run. An order can be claimed once.

    Args:
        coordinator: The coordinator's directory.
        submitted: The run config that was submitted to Flower.

    Raises:
        NotOrdered: There is no order, it has another config, or it was already claimed.
    """
    path = CoordinatorDirectory(coordinator).order
    try:
        order = RunOrder.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise NotOrdered(
            "a run was submitted without an order: start it with `consortium run`"
        ) from error
    if _canonical_json(order.config) != _canonical_json(submitted):
        raise NotOrdered("a run was submitted with a config other than the ordered one")
    # Renaming is atomic: of two processes with the same order, one fails here.
    try:
        path.replace(RunDirectory(order.run).order)
    except OSError as error:
        raise NotOrdered("the ordered run has already started") from error
    return order


def _canonical_json(config: Mapping[str, Scalar]) -> str:
    return json.dumps(dict(config), sort_keys=True)


def last_run(coordinator: Path) -> Path | None:
    """Return the directory of the run ordered last, or None before the first order."""
    path = CoordinatorDirectory(coordinator).last_run
    return Path(path.read_text()) if path.exists() else None
