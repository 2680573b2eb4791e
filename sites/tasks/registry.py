"""The use cases by name."""

import difflib
from importlib import import_module
from typing import Any

from privacy.errors import ConsortiumError
from sites.plans import AnyModelPlan, ModelPlan, TextModelPlan
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema, TextSchema
from sites.task import Task, UnfitSchema
from sites.tasks.tabular.use_cases import credit, diagnosis, house_prices

TABULAR = ("credit", "diagnosis", "house-prices")
TEXTUAL = ("clinical-notes", "market-sentiment", "clinical-entities")
TASKS = (*TABULAR, *TEXTUAL)
_LIBRARIES = {
    **dict.fromkeys(TABULAR, ("sites.tasks.tabular.model", "sites.tasks.tabular.loading")),
    **dict.fromkeys(TEXTUAL, ("sites.tasks.text.named_entities", "sites.tasks.text.use_cases")),
}


class UnknownTask(ConsortiumError, LookupError):
    """There is no task of this name."""

    code = "unknown-task"


def task_for(name: str, schema: AnySchema, model: AnyModelPlan, *, seed: int) -> Task[Any]:
    """Return the named task.

    Args:
        name: One of `TASKS`.
        schema: What every column means.
        model: Which model is trained.
        seed: Of the run: new parameters are drawn from it.

    Raises:
        UnknownTask: There is no such task; the nearest one is named.
        UnfitSchema: The task cannot learn what the schema asks.
        BadPlan: The task does not have this model.
    """
    if name not in TASKS:
        close = difflib.get_close_matches(name, TASKS, n=1)
        hint = f": did you mean '{close[0]}'?" if close else ""
        raise UnknownTask(f"there is no task '{name}'{hint}; the tasks are {', '.join(TASKS)}")
    if isinstance(schema, Schema) and isinstance(model, ModelPlan) and name in TABULAR:
        return _tabular(name, schema, model, seed)
    if not isinstance(schema, Schema) and isinstance(model, TextModelPlan) and name in TEXTUAL:
        return _textual(name, schema, model, seed)
    needed = "a table" if name in TABULAR else "texts"
    raise UnfitSchema(
        f"{name} learns from {needed}: neither {type(schema).__name__} {schema.name} nor "
        f"{type(model).__name__} may be of another kind"
    )


def load_libraries(name: str) -> None:
    """Load now what a task would load where it first needs it; nothing for a name unknown."""
    for module in _LIBRARIES.get(name, ()):
        import_module(module)


def _tabular(name: str, schema: Schema, model: ModelPlan, seed: int) -> Task[Any]:
    """Return a task of tables, which loads its libraries where it needs them."""
    match name:
        case "credit":
            return credit(schema, model, seed=seed)
        case "diagnosis":
            return diagnosis(schema, model, seed=seed)
        case _:
            return house_prices(schema, model, seed=seed)


def _textual(name: str, schema: TextSchema, model: TextModelPlan, seed: int) -> Task[Any]:
    """Return a task of texts; its libraries are loaded only where there are texts."""
    from sites.tasks.text.named_entities import clinical_entities
    from sites.tasks.text.use_cases import clinical_notes, market_sentiment

    match name:
        case "clinical-notes":
            return clinical_notes(schema, model, seed=seed)
        case "market-sentiment":
            return market_sentiment(schema, model, seed=seed)
        case _:
            return clinical_entities(schema, model, seed=seed)
