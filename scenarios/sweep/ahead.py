"""What the workers of a sweep need is loaded while the process that starts them goes on.

On its own because it loads nothing itself, so that a command can call it first.
"""

from scenarios.experiments.process_pool import load_ahead
from sites.tasks.registry import training_modules

_TRIALS = "scenarios.sweep.trial"


def load_trials_ahead(task: str) -> None:
    """Start loading what a trial needs, once for all workers.

    Args:
        task: Name of the use case.
    """
    load_ahead((_TRIALS, *training_modules(task)))
