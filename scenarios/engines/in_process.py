"""In-process engine: the real apps in one process, for tests, debugging and small runs.

ServerApp and ClientApp are the same as on every other engine; only the message bus between them is
ours. A site runs when its reply is pulled, so that only one site is in memory at a time.
"""

import traceback
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, TypeAlias

from flwr.app import Context, Error, Message, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.task_identity import TaskIdentity  # needed to make a Message, see below

from scenarios.engines.file_limits import allow_open_files

SiteApp: TypeAlias = Callable[[Message, Context], Message]

RAISED = 2  # Flower's code for a ClientApp that raised
GONE = 5  # Flower's code for a node that has left

_RUN_ID = 1
_COORDINATOR = 1
_FIRST_NODE = 1001


class Vanished(Exception):
    """Raised by a site's app in tests: the node never replies."""


class InProcessGrid(Grid):
    """Flower's message bus between one coordinator and sites of the same process.

    Guarantee: requests and replies are copied, so that no two parties share a record. An exception
    in a site's app becomes an error reply with its traceback, as in Flower. Creating a grid also
    lets this process create messages as a process of Flower's does, and open the files of all
    sites.

    Args:
        app: Called for each message to a site; a mapping by site index where sites differ, or only
            some of them are on this bus.
        num_sites: Number of sites.
        run_config: Flower's run config.

    Raises:
        TooFewFiles: The system does not let a process open the files of so many sites.
    """

    def __init__(
        self,
        app: SiteApp | Mapping[int, SiteApp],
        num_sites: int,
        run_config: Mapping[str, str | int | float | bool],
    ) -> None:
        allow_open_files(num_sites)
        # Flower stamps each Message with the task of its process, and refuses to make one without.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN_ID, _COORDINATOR, 1
        self._apps = app if isinstance(app, Mapping) else dict.fromkeys(range(num_sites), app)
        self._contexts = {
            _FIRST_NODE + index: Context(
                run_id=_RUN_ID,
                node_id=_FIRST_NODE + index,
                node_config={"partition-id": index, "num-partitions": num_sites},
                state=RecordDict(),
                run_config=dict(run_config),
            )
            for index in self._apps
        }
        self._waiting: dict[str, Message] = {}
        self._sent = 0

    def set_run(self, run: Any) -> None:  # noqa: ANN401 -- Flower's Run is private; unused here
        """Do nothing: there is one run."""

    @property
    def run(self) -> Any:  # noqa: ANN401 -- Flower's Run is private; unused here
        """None: there is one run."""
        return None

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the ids of the connected nodes."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Queue messages; return an id for each, empty if its node has left."""
        ids = []
        for message in messages:
            self._sent += 1
            known = message.metadata.dst_node_id in self._contexts
            message_id = f"message-{self._sent}" if known else ""
            if known:
                self._waiting[message_id] = message
            ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Run the sites that were asked, and return their replies; each is returned once."""
        replies = []
        for message_id in message_ids:
            message = self._waiting.pop(message_id, None)
            reply = self._answer(message) if message else None
            if reply is not None:
                replies.append(reply)
        return replies

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and pull all replies."""
        del timeout  # a site in this process has replied already, or never will
        return self.pull_messages(self.push_messages(messages))

    def remove(self, index: int) -> None:
        """Disconnect a site, as if its machine had failed."""
        self._contexts.pop(_FIRST_NODE + index)

    def _answer(self, message: Message) -> Message | None:
        context = self._contexts.get(message.metadata.dst_node_id)
        if context is None:
            return Message(Error(GONE, "node unavailable"), reply_to=message)
        # A copy, as the network would make: a site must not see what another one changes.
        delivered = Message(
            deepcopy(message.content),
            message.metadata.dst_node_id,
            message.metadata.message_type,
            ttl=message.metadata.ttl,
            group_id=message.metadata.group_id,
        )
        try:
            reply = self._apps[context.node_id - _FIRST_NODE](delivered, context)
        except Vanished:
            return None
        except Exception:  # noqa: BLE001 -- as Flower does with a site's exception
            return Message(Error(RAISED, traceback.format_exc()), reply_to=message)
        # An error reply has no content to copy.
        return Message(deepcopy(reply.content), reply_to=message) if reply.has_content() else reply


def run_in_process(
    server_app: ServerApp,
    site_app: SiteApp | Mapping[int, SiteApp],
    *,
    num_sites: int,
    run_config: Mapping[str, str | int | float | bool],
) -> None:
    """Run both apps to the end in this process; exceptions of the ServerApp pass through."""
    run_server_app(server_app, InProcessGrid(site_app, num_sites, run_config), run_config)


def run_server_app(
    server_app: ServerApp, grid: Grid, run_config: Mapping[str, str | int | float | bool]
) -> None:
    """Run a ServerApp to the end in this process; its exceptions pass through."""
    context = Context(_RUN_ID, _COORDINATOR, {}, RecordDict(), dict(run_config))
    server_app(grid, context)
