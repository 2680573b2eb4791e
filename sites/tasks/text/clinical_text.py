"""Clinical notes: what is in them, one class or several labels, at hospitals that may lack some."""

from sites.plans import TextModelPlan, TrainingPlan
from sites.schema.texts import NotesSchema, TextSchema
from sites.task import UnfitSchema
from sites.tasks.text.classification import NotesTask

MODEL = TextModelPlan()
PLAN = TrainingPlan(batch_size=32, learning_rate=2e-3, optimizer="adam")


def clinical_notes(schema: TextSchema, model: TextModelPlan, *, seed: int) -> NotesTask:
    """Return the task.

    Raises:
        UnfitSchema: The schema is one of entities.
    """
    if not isinstance(schema, NotesSchema):
        raise UnfitSchema(f"clinical-notes labels whole texts; {schema.name} is of entities")
    return NotesTask("clinical-notes", schema, model, seed)
