"""The secrets that a site keeps of masked runs, and how its operator deletes them.

docs/protocol.md, "What is deleted".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consortium.charter.document import Charter
from consortium.site.directory import SiteDirectory, read_site_config
from privacy.errors import ConsortiumError
from privacy.secrets.masked_runs.pair_memory import PairMemory
from privacy.secrets.masked_runs.reached_states import StateNotHeld
from privacy.secrets.replay_guard import SiteMemory


class NothingToForget(ConsortiumError, LookupError, code="nothing-to-forget"):
    """A site keeps no secrets of the run that it is to forget."""


def open_runs(site: Path) -> tuple[str, ...]:
    """Return the masked runs whose secrets a site keeps, the oldest first.

    Raises:
        BadSite: There is no site.
    """
    with _pair_memory(site) as pairs:
        return () if pairs is None else pairs.open_runs()


def forget_run(site: Path, run: str) -> None:
    """Delete the secrets of a masked run, and burn it: the site takes no further part in it.

    Guarantee: when it returns, the site's disk holds no secret of the run, unless `erasure_is_due`.

    Raises:
        NothingToForget: The site keeps none of it.
        BadSite: There is no site.
    """
    with _pair_memory(site) as pairs:
        if pairs is None or run not in pairs.open_runs():
            raise NothingToForget(
                f"this site keeps no secrets of run {run}: it came to its end, or did not begin "
                f"here; `consortium site forget {site}` lists those of which it does"
            )
        pairs.forget_run(run)


def forget_open_runs(site: Path) -> tuple[str, ...]:
    """Forget every open run and every unused pair key, as after a memory was put back.

    Guarantee: when it returns, the site's disk holds no secret of a masked run, unless
    `erasure_is_due`.

    Raises:
        BadSite: There is no site.
    """
    with _pair_memory(site) as pairs:
        return () if pairs is None else pairs.forget_open_runs()


def erasure_is_due(site: Path) -> bool:
    """Say whether deleted secrets are still in the memory's log, since another process reads it.

    To ask erases them if nobody reads any more.

    Raises:
        BadSite: There is no site.
    """
    with _pair_memory(site) as pairs:
        return pairs is not None and pairs.erasure_is_due


def require_reached(site: Path, charter: Charter) -> None:
    """Check that a site reached the state from which a run is to go on under a charter.

    Raises:
        StateNotHeld: It did not, or holds it no more.
        BadSite: There is no site.
    """
    with _memory(site) as memory:
        if memory is None:
            raise StateNotHeld(f"this site took no part in run {charter.continues}")
        memory.reached.held(charter.continues, bytes.fromhex(charter.continues_from))


@contextmanager
def _pair_memory(site: Path) -> Iterator[PairMemory | None]:
    """Yield a site's memory of pair secrets; None if it remembers nothing yet."""
    with _memory(site) as memory:
        yield None if memory is None else memory.pairs


@contextmanager
def _memory(site: Path) -> Iterator[SiteMemory | None]:
    """Yield a site's memory; None if it remembers nothing yet."""
    read_site_config(site)
    path = SiteDirectory(site).memory
    if not path.exists():  # to ask must not make one
        yield None
        return
    with SiteMemory(path) as memory:
        yield memory
