"""Types of the message middleware (Flower mods) of a site, which its halves of a mode share."""

from collections.abc import Callable
from typing import TypeAlias

from flwr.app import Context, Message

Next: TypeAlias = Callable[[Message, Context], Message]
Mod: TypeAlias = Callable[[Message, Context, Next], Message]
