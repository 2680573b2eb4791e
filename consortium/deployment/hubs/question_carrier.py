"""The ClientApp of a hub: it carries each question of the coordinator to the hub's own run.

Greeted by the coordinator of a run, it starts the hub's run on the hub's SuperLink, with the run
config that came with the question. Like a site, a hub takes the config from the coordinator; what
the members signed bounds it, and each member's policy does.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.hubs.bridge import Bridge, HubQuestion
from consortium.coordinator.hubs.regional_hub import OtherAgreement
from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed, wait_until
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import START_LIMIT_S, SuperLink
from consortium.modes.registry import mode_of
from consortium.run.directory import RunDirectory
from consortium.run.hub_directory import HubDirectory, run_of_hub
from consortium.run.logs import logging_to
from consortium.run.party_directory import CoordinatorDirectory
from privacy.errors import ConsortiumError
from privacy.wire.hub_messages import HUB_CARRY, HUB_END, HUB_HELLO, HubHello, Passed
from strategies.coordinator.messaging.exchange import HUB_AWAY

_ORDERING = "ordering.lock"

_LOG = logging.getLogger(__name__)


def carrier_app(directory: Path) -> ClientApp:
    """Return the app of a hub's SuperNode.

    Guarantee: what leaves is an answer of the hub's run, or an error that says that the hub is
    away and nothing else; why stands in the hub's own log.

    Args:
        directory: The hub's directory.
    """

    def carry(message: Message, context: Context) -> Message:
        with logging_to(HubDirectory(directory).node_log):
            try:
                content = _carried(directory, message, context)
            except (ConsortiumError, OSError):
                _LOG.exception("not carried: %s", message.metadata.message_type[:64])
                return Message(Error(HUB_AWAY, "the hub is away"), reply_to=message)
        return Message(content, reply_to=message)

    app = ClientApp()
    for kind in (HUB_HELLO, HUB_CARRY, HUB_END):
        app.query(kind.removeprefix("query."))(carry)
    return app


def _carried(directory: Path, message: Message, context: Context) -> RecordDict:
    kind, content = message.metadata.message_type, message.content
    said = Passed.read(content) if kind == HUB_CARRY else HubHello.read(content)
    charter = Charter.read(CoordinatorDirectory(directory).charter)
    config = RunConfig.parse(_flat(context))
    if (said.charter, said.config) != (charter.fingerprint, config.digest):
        raise OtherAgreement(
            "the coordinator of the run has another charter than this hub: install the kit that "
            "all others have, with `consortium coordinator install`"
        )
    run = RunDirectory(CoordinatorDirectory(directory).run(run_of_hub(said.name, config.digest)))
    if kind == HUB_HELLO:
        _ensure_run(directory, run, charter, config)
    question = HubQuestion(
        kind=kind, run=message.metadata.run_id, node=context.node_id, content=content
    )
    return Bridge(run.bridge).ask(question)


def _ensure_run(directory: Path, run: RunDirectory, charter: Charter, config: RunConfig) -> None:
    """Start the hub's run unless it goes on, and wait until it listens.

    Raises:
        LaunchFailed: It did not start; the message names the log.
    """
    mode_of(config).require_agreed(config, charter)
    bridge, superlink = Bridge(run.bridge), SuperLink(directory)
    superlink.home.mkdir(exist_ok=True)
    with _one_at_a_time(superlink.home / _ORDERING):
        if bridge.is_served():
            return
        superlink.require_up()
        run.coordinator.mkdir(parents=True, exist_ok=True)
        charter.write(run.charter)
        control = Control(superlink)
        number = control.submit_order(RunOrder(run=run.path, config=config.flat()))
        _LOG.info("began run %s as Flower's %d", run.path.name, number)
        if not wait_until(bridge.is_served, alive=lambda: True, limit_s=START_LIMIT_S):
            raise LaunchFailed(f"the hub's run did not start: see {run.log} and {superlink.log}")


def _flat(context: Context) -> Mapping[str, str | int | float | bool]:
    return {
        key: value
        for key, value in context.run_config.items()
        if isinstance(value, str | int | float | bool)
    }


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold a lock: of two greetings, one starts the run, and the other finds it there."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
