"""The limit on open files, raised for processes that run many sites.

A module of its own because it changes a limit of the whole process, for two engines.
"""

import resource

from privacy.errors import ConsortiumError

_FEWEST_A_SITE = 4  # its log and a database; an encrypted run has 12
_OUR_OWN = 64
_PLENTY = 65_536


class TooFewFiles(ConsortiumError, RuntimeError, code="too-few-files"):
    """The system lets a process open fewer files than its sites need."""


def allow_open_files(num_sites: int) -> None:
    """Raise the limit on open files of this process and its children, to 65,536 if allowed.

    The default is 1,024 files: enough for some 250 sites in the clear, or 80 encrypted ones.

    Args:
        num_sites: Sites in this process.

    Raises:
        TooFewFiles: The sites need more files than the system allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _OUR_OWN + _FEWEST_A_SITE * num_sites
    most = max(needed, _PLENTY) if hard == resource.RLIM_INFINITY else hard
    if most < needed:
        raise TooFewFiles(
            f"{num_sites} sites in one process need at least {needed} open files, and this system "
            f"allows {hard}: raise the hard limit (`ulimit -Hn`), or run fewer sites",
            needed=needed,
            came=hard,
        )
    wanted = min(most, max(needed, _PLENTY))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
