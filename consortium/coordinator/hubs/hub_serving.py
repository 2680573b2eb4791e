"""A hub's run on its own SuperLink: it asks the members what the coordinator of the run asks.

It begins when the coordinator greets the hub. It ends when the coordinator says so, or when nothing
came from it for a long time. Greeted again, the hub begins anew: nothing is lost with it.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from consortium.charter.addresses import hub_named
from consortium.charter.document import Charter
from consortium.charter.hub_keys import own_hub_key
from consortium.config import RunConfig
from consortium.coordinator.hubs.bridge import Bridge, HubQuestion
from consortium.coordinator.hubs.regional_hub import RegionalHub
from consortium.coordinator.led_run import most_counted
from consortium.coordinator.reply_bound import note_numbers
from consortium.run.directory import COORDINATOR, RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.hub_directory import HubDirectory, hub_name
from privacy.errors import ConsortiumError
from privacy.wire.hub_messages import HUB_END

_LONGEST_SILENCE_S = 900.0
_DEADLINES = 4.0  # a coordinator that says nothing for so long has gone

_LOG = logging.getLogger(__name__)


def hub_of_environment() -> Path | None:
    """Return the directory of the hub on whose SuperLink this process runs; None of no hub."""
    named = os.environ.get(COORDINATOR)
    return Path(named) if named and hub_name(Path(named)) else None


def serve_hub(
    directory: Path,
    run: RunDirectory,
    grid: Grid,
    charter: Charter,
    config: RunConfig,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Answer what comes over the bridge of a hub's run, until the run ends.

    Args:
        directory: The hub's directory.
        run: The directory of the hub's run.
        grid: Flower's bus to the hub's members.
        charter: What all members agreed on.
        config: Of the coordinator's run.
        clock: Returns seconds from a fixed point.

    Raises:
        BadCharter: The charter names no such hub.
        OtherKeys: The hub does not hold the key that the charter names.
    """
    hub = _regional_hub(directory, run, grid, charter, config)
    heard = clock()
    silence_s = max(_LONGEST_SILENCE_S, _DEADLINES * config.deadline_s)

    def answer(question: HubQuestion) -> RecordDict:
        asked = Message(question.content, question.node, question.kind)
        return hub.answer(asked, run=question.run, node=question.node)

    def goes_on(question: HubQuestion | None) -> bool:
        nonlocal heard
        if question is None:
            grid.get_node_ids()  # Flower says here if the run was stopped
            return clock() - heard < silence_s
        heard = clock()
        return question.kind != HUB_END

    def note(error: ConsortiumError) -> None:
        _LOG.error("a question was refused: %s", error.code, exc_info=error)

    Bridge(run.bridge).serve(answer, goes_on=goes_on, note=note)


def _regional_hub(
    directory: Path, run: RunDirectory, grid: Grid, charter: Charter, config: RunConfig
) -> RegionalHub:
    counted = most_counted(config, charter)
    hub = hub_named(charter, hub_name(directory))
    return RegionalHub(
        hub=hub,
        grid=grid,
        charter=charter,
        config=config,
        sign=own_hub_key(HubDirectory(directory).key, hub).sign,
        keep=EvidenceStore(run.vault, keeps_all=config.keep_uploads == "all").keep,
        note_dim=lambda dim: note_numbers(max(dim, counted)),
    )
