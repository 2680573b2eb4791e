"""The use cases by name."""

import difflib
from typing import Any

from privacy.errors import ConsortiumError
from sites.credit import credit
from sites.diagnosis import diagnosis
from sites.house_prices import house_prices
from sites.schema import Schema
from sites.task import ModelPlan, Task

TASKS = ("credit", "diagnosis", "house-prices")


class UnknownTask(ConsortiumError, LookupError):
    """There is no task of this name."""


def task_for(name: str, schema: Schema, model: ModelPlan, *, seed: int) -> Task[Any]:
    """Return the named task.

    Args:
        name: One of `TASKS`.
        schema: What every column means.
        model: Which model is trained.
        seed: Of the run: new parameters are drawn from it.

    Raises:
        UnknownTask: There is no such task; the nearest one is named.
        UnfitSchema: The task cannot learn what the schema's label asks.
        BadPlan: The task does not have this model.
    """
    match name:
        case "credit":
            return credit(schema, model, seed=seed)
        case "diagnosis":
            return diagnosis(schema, model, seed=seed)
        case "house-prices":
            return house_prices(schema, model, seed=seed)
    close = difflib.get_close_matches(name, TASKS, n=1)
    hint = f": did you mean '{close[0]}'?" if close else ""
    raise UnknownTask(f"there is no task '{name}'{hint}; the tasks are {', '.join(TASKS)}")
