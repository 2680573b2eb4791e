"""How many files the sites of one process may hold open together."""

import resource

from privacy.errors import ConsortiumError

_FEWEST_A_SITE = 4  # its log and a database; encrypted 12
_OUR_OWN = 64
_PLENTY = 65_536


class TooFewFiles(ConsortiumError, RuntimeError):
    """This system lets a process hold fewer files open than so many sites need."""

    code = "too-few-files"


def allow_open_files(num_sites: int) -> None:
    """Let this process, and those it starts, hold more files open: 65,536, if the system does.

    A process may hold 1,024 unless it asks for more: enough for some 250 sites in the clear, or 80
    encrypted.

    Args:
        num_sites: Sites of this process.

    Raises:
        TooFewFiles: More than the system allows are needed in any case.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _OUR_OWN + _FEWEST_A_SITE * num_sites
    most = max(needed, _PLENTY) if hard == resource.RLIM_INFINITY else hard
    if most < needed:
        raise TooFewFiles(
            f"{num_sites} sites in one process need {needed} open files or more, and this system "
            f"allows a process {hard}: raise the hard limit (`ulimit -Hn`), or run fewer sites",
            needed=needed,
            came=hard,
        )
    wanted = min(most, max(needed, _PLENTY))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
