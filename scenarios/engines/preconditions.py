"""What a run is refused for before there is a run directory.

A module of its own because it needs no library that learns.
"""

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.registry import mode_of
from consortium.protocol.aggregation import rule_spec
from consortium.protocol.evaluation_bins import evaluation_of


def require_runnable(config: RunConfig, charter: Charter) -> None:
    """Check that a run can keep what its config promises under a charter.

    Raises:
        ConsortiumError: The rule cannot protect so few sites, the mode is not what the members
            agreed on, or nothing can be evaluated as asked.
    """
    rule_spec(config, charter)
    mode_of(config).require_agreed(config, charter)
    evaluation_of(config, charter)
