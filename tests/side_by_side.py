"""A bus whose sites really work side by side: each in a thread of its own, one question at a time.

A test holds a site back with an event of its own, so that who answers when is decided, not timed.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import MappingProxyType

from flwr.app import Message

from scenarios.engines.in_process import InProcessGrid, SiteApp


class SideBySideGrid(InProcessGrid):
    """A bus on which a site begins when it is asked, and a reply is there when it is done.

    Args:
        sites: The apps of the sites, by node.
        stack: Ends the threads.
        run_config: Flower's run config.
    """

    def __init__(
        self,
        sites: Sequence[SiteApp],
        stack: ExitStack,
        run_config: Mapping[str, str | int | float | bool] = MappingProxyType({}),
    ) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), run_config)
        self._threads = {
            node: stack.enter_context(ThreadPoolExecutor(max_workers=1))
            for node in self.get_node_ids()
        }
        self._working: dict[str, Future[Message | None]] = {}

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Let each site begin."""
        asked = list(messages)
        ids = list(super().push_messages(asked))
        for message_id in filter(None, ids):
            message = self._waiting.pop(message_id)
            thread = self._threads[message.metadata.dst_node_id]
            self._working[message_id] = thread.submit(self._answer, message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are there."""
        done = [one for one in message_ids if one in self._working and self._working[one].done()]
        replies = [self._working.pop(one).result() for one in done]
        return [reply for reply in replies if reply is not None]
