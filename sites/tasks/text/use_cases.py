"""Sentiment of financial sentences: one of the declared moods, by the same code as notes."""

from sites.plans import TextModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema, TextSchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask

MODEL = TextModelPlan(max_tokens=64, stride=16)
PLAN = TrainingPlan(batch_size=32, learning_rate=2e-3, optimizer="adam")


def market_sentiment(schema: TextSchema, model: TextModelPlan, *, seed: int) -> NotesTask:
    """Return the task.

    Raises:
        UnfitSchema: The schema is one of entities, or a text may have several labels.
    """
    if not isinstance(schema, NotesSchema) or not isinstance(schema.label, ClassLabel):
        raise UnfitSchema(f"market-sentiment is one class a sentence; {schema.name} is not of that")
    return NotesTask("market-sentiment", schema, model, seed)
