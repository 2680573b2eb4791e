"""Types of the message middleware (Flower mods) of a site, which its halves of a mode share.

A module of its own because `mods` imports the halves, and they need the types too.
"""

from collections.abc import Callable
from typing import TypeAlias

from flwr.app import Context, Message

Next: TypeAlias = Callable[[Message, Context], Message]
Mod: TypeAlias = Callable[[Message, Context, Next], Message]
