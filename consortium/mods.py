"""What every message passes at a site, from the outside in."""

import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from flwr.app import Context, Message

from consortium.site import site_directory
from privacy.errors import ConsortiumError
from privacy.wire import refusal_content

Next: TypeAlias = Callable[[Message, Context], Message]


class SiteError(ConsortiumError, RuntimeError):
    """Something failed at the site that nobody foresaw; the site's log says what."""


def typed_refusals(message: Message, context: Context, call_next: Next) -> Message:
    """Turn every exception at a site into a typed refusal.

    Guarantee: what leaves the site is a code and counts. Text and traceback, which may quote a
    record, go to `site.log` in the site's directory; Flower would send both to the coordinator.
    """
    try:
        return call_next(message, context)
    except ConsortiumError as error:
        _log(context)
        return Message(refusal_content(error), reply_to=message)
    except Exception:  # noqa: BLE001 -- the last door: nothing unforeseen may leave either
        _log(context)
        return Message(refusal_content(SiteError("see the site's log")), reply_to=message)


def _log(context: Context) -> None:
    """Append the current exception to the site's log, if it is known which site this is."""
    try:
        path = site_directory(context) / "site.log"
        with path.open("a") as file:
            file.write(f"--- {datetime.now(UTC).isoformat(timespec='seconds')}\n")
            traceback.print_exc(file=file)
    except (ConsortiumError, OSError):
        return
