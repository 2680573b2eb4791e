"""What a run is refused for before there is a run directory.

A module of its own because it needs no library that learns.
"""

from consortium.charter.document import Charter
from consortium.charter.hubs import dealt
from consortium.config import RunConfig
from consortium.modes.registry import mode_of
from consortium.protocol.aggregation import rule_spec
from consortium.protocol.evaluation_bins import evaluation_of
from privacy.errors import ConsortiumError, number_of
from scenarios.scenario import Engine, Scenario


class TooManyHubs(ConsortiumError, ValueError, code="too-many-hubs"):
    """There are fewer sites than hubs."""


class NoHubsThere(ConsortiumError, ValueError, code="no-hubs-there"):
    """Hubs were asked for on an engine that has none."""


def require_runnable(config: RunConfig, charter: Charter) -> None:
    """Check that a run can keep what its config promises under a charter.

    Raises:
        ConsortiumError: The rule cannot protect so few sites, the mode is not what the members
            agreed on, or nothing can be evaluated as asked.
    """
    rule_spec(config, charter)
    mode_of(config).require_agreed(config, charter)
    evaluation_of(config, charter)


def require_hubs(engine: Engine, scenario: Scenario, num_hubs: int, *, config: RunConfig) -> None:
    """Check that a scenario can be run with so many hubs on an engine.

    Raises:
        NoHubsThere: The engine simulates one SuperLink, or the run asks each site when it is free.
        TooManyHubs: There are fewer sites than hubs.
    """
    if engine == "simulation":
        raise NoHubsThere(
            f"the engine {engine} has one SuperLink: run a scenario with hubs in process, or with "
            "--engine deployment"
        )
    if config.schedule.name == "buffered":
        raise NoHubsThere(
            "a hub answers for all its sites at once, and a buffered run waits for none: set "
            "schedule to synchronous or triggered, or run it without hubs"
        )
    if num_hubs > len(scenario.sites):
        raise TooManyHubs(
            f"{number_of(num_hubs, 'hub')} need as many sites at least, and there are "
            f"{len(scenario.sites)}",
            needed=num_hubs,
            came=len(scenario.sites),
        )


def hubs_in_words(scenario: Scenario, config: RunConfig, num_hubs: int) -> str:
    """Return who stands behind hubs, and what these do in the mode of a run."""
    sizes = sorted({len(members) for members in dealt(scenario.sites, num_hubs)})
    each = " or ".join(number_of(size, "site") for size in sizes)
    adds = (
        "each adds what its sites seal, and passes on one sum"
        if mode_of(config).keeps_signed_sums
        else "in the clear they pass on each answer as it is, and add nothing"
    )
    return f"{number_of(num_hubs, 'hub')} of {each}: {adds}"
