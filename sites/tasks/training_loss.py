"""The loss of a model on a site's own training records: one pass over them, and no training."""

from dataclasses import replace

from privacy.layout import Tally, Vector
from sites.task import Data, Task
from sites.tasks.divided_records import DividedRecords

_LOSSES = ("log_loss", "rmse")
_SHARES_RIGHT = ("entity_f1", "micro_f1")


def training_loss(task: Task[Data], data: Data, pooled: Tally, vector: Vector) -> float | None:
    """Return the mean loss on the training records; None if they define none.

    For classes the log loss, for a number the root mean squared error; for entities and for
    several labels, which have no such loss, one minus F1.

    Args:
        task: The use case.
        data: The site's records.
        pooled: Statistics added up over sites.
        vector: The model, shape (dim,).
    """
    if not isinstance(data, DividedRecords) or not data.train_examples:
        return None
    # The same evaluation as of held-out records; what it returns stays here.
    counted = task.evaluate(replace(data, held_out=data.training), pooled, vector)
    metrics = task.evaluation.metrics(counted)
    for name in _LOSSES:
        if name in metrics:
            return metrics[name].value
    for name in _SHARES_RIGHT:
        if name in metrics:
            return 1.0 - metrics[name].value
    return None
