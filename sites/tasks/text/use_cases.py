"""Use cases of whole texts: clinical notes, and the sentiment of financial sentences.

Both are the same task; they differ only in the labels that they accept. It is a module of its own
because the task itself knows none of its use cases.
"""

from sites.plans import TextModelPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema, TextSchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask


def clinical_notes_task(schema: TextSchema, model: TextModelPlan, *, seed: int) -> NotesTask:
    """Return the task of classifying clinical notes.

    Raises:
        UnfitSchema: The schema is one of entities.
    """
    if not isinstance(schema, NotesSchema):
        raise UnfitSchema(
            f"clinical-notes needs a schema of whole texts, but {schema.name} is one of entities"
        )
    return NotesTask("clinical-notes", schema, model, seed)


def market_sentiment_task(schema: TextSchema, model: TextModelPlan, *, seed: int) -> NotesTask:
    """Return the task of classifying the sentiment of financial sentences.

    Raises:
        UnfitSchema: The schema is one of entities, or a text may have several labels.
    """
    if not isinstance(schema, NotesSchema) or not isinstance(schema.label, ClassLabel):
        raise UnfitSchema(
            f"market-sentiment needs one class per text, but {schema.name} does not declare that"
        )
    return NotesTask("market-sentiment", schema, model, seed)
