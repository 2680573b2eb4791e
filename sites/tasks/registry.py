"""Registry of the use cases by name."""

from importlib import import_module
from typing import Any

from privacy.errors import ConsortiumError, require_library, unknown_name
from sites.learners.plans import LearnerPlans
from sites.learners.registry import learner_for
from sites.plans import AnyModelPlan, Counting, ModelPlan, TextModelPlan
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema, EntitySchema, TextSchema
from sites.task import Task, UnfitSchema
from sites.tasks.tabular.use_cases import USE_CASES, tabular_task

_PLAIN = Counting()
TABULAR = tuple(USE_CASES)
TEXTUAL = ("clinical-notes", "market-sentiment", "clinical-entities")
TASKS = (*TABULAR, *TEXTUAL)
_READS = dict.fromkeys(TABULAR, ("sites.tasks.tabular.loading",))
_LEARNS = {
    **dict.fromkeys(TABULAR, ("sites.tasks.tabular.model",)),
    **dict.fromkeys(TEXTUAL, ("sites.tasks.text.named_entities", "sites.tasks.text.use_cases")),
}
# What a process loads that trains, and no other one has to.
LEARNING_LIBRARIES = tuple(sorted({one for learns in _LEARNS.values() for one in learns}))


class UnknownTask(ConsortiumError, LookupError, code="unknown-task"):
    """There is no task of this name."""


def task_for(
    name: str,
    schema: AnySchema,
    model: AnyModelPlan,
    *,
    seed: int,
    learning: LearnerPlans | None = None,
    counting: Counting = _PLAIN,
) -> Task[Any]:
    """Return the named task, as its learner carries it out.

    Args:
        name: One of `TASKS`.
        schema: The meaning of every column.
        model: The model that is trained.
        seed: Of the run: new parameters are drawn from it.
        learning: Which learner carries it out; None for that of the use case.
        counting: What is counted besides what every run counts.

    Raises:
        UnknownTask: There is no such task; the message names the nearest one.
        UnfitSchema: The schema or the kind of model does not fit the task.
        BadPlan: The model does not fit the label.
        MissingLibrary: What the learner needs is not installed.
    """
    if name not in TASKS:
        raise UnknownTask(unknown_name(name, TASKS, kind="task"))
    learner = learner_for(name, schema, learning or LearnerPlans())
    if name in TEXTUAL:
        require_library("to learn from texts", "transformers", extra="text")
    elif not learner.contribution.exact:
        require_library("to train a model", "torch", extra="train")
    if isinstance(schema, Schema) and isinstance(model, ModelPlan) and name in TABULAR:
        return learner.at_site(tabular_task(name, schema, model, seed=seed, counting=counting))
    if not isinstance(schema, Schema) and isinstance(model, TextModelPlan) and name in TEXTUAL:
        return learner.at_site(_text_task(name, schema, model, seed))
    needed = "a table" if name in TABULAR else "texts"
    raise UnfitSchema(
        f"{name} learns from {needed} and needs a schema and a model plan for that, got "
        f"{type(schema).__name__} {schema.name} and {type(model).__name__}"
    )


def require_fit(name: str, schema: AnySchema, model: AnyModelPlan) -> None:
    """Check that a task can learn from a schema. For tables no library that learns is needed.

    Raises:
        UnknownTask, UnfitSchema, BadPlan: As of `task_for`.
        MissingLibrary: The same, for texts.
    """
    if name in TABULAR and isinstance(schema, Schema) and isinstance(model, ModelPlan):
        learner_for(name, schema, LearnerPlans())
        tabular_task(name, schema, model, seed=0)
    else:
        task_for(name, schema, model, seed=0)


def usual_task(schema: AnySchema) -> str:
    """Return the task for a schema of which nobody says more: the widest that takes its label."""
    if isinstance(schema, Schema):
        taking = (name for name, case in USE_CASES.items() if case.accepts(schema.label))
        return [*taking][-1]
    return "clinical-entities" if isinstance(schema, EntitySchema) else "clinical-notes"


def load_libraries(name: str, schema: AnySchema, *, learning: bool) -> None:
    """Import now the libraries that a task would import when it first needs them.

    For an unknown name nothing is imported. A process that forks for each message calls this
    first, so that its children share what is loaded.

    Args:
        name: Of the task.
        schema: The meaning of every column.
        learning: Whether every run of the site trains, as far as is known. Otherwise what learns
            is left out, as it is where the use case counts.
    """
    counts = learner_for(name, schema, LearnerPlans()).contribution.exact
    learns = _LEARNS.get(name, ()) if learning and not counts else ()
    for module in (*_READS.get(name, ()), *learns):
        import_module(module)


def training_modules(name: str) -> tuple[str, ...]:
    """Return the modules that a process loads that reads a task's records and trains on them."""
    return (*_READS.get(name, ()), *_LEARNS.get(name, ()))


def _text_task(name: str, schema: TextSchema, model: TextModelPlan, seed: int) -> Task[Any]:
    """Return a task of texts; its libraries are imported only where there are texts."""
    # torch and transformers take seconds to import, which tasks of tables should not pay.
    from sites.tasks.text.named_entities import clinical_entities_task
    from sites.tasks.text.use_cases import clinical_notes_task, market_sentiment_task

    match name:
        case "clinical-notes":
            return clinical_notes_task(schema, model, seed=seed)
        case "market-sentiment":
            return market_sentiment_task(schema, model, seed=seed)
        case _:
            return clinical_entities_task(schema, model, seed=seed)
