"""Diagnosis: which of the declared findings does a patient have? A site may lack some."""

from sites.plans import ModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask

MODEL = ModelPlan(name="logistic")
PLAN = TrainingPlan(batch_size=16, learning_rate=0.02, momentum=0.9, weight_decay=1e-2)


def diagnosis(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the task, for yes or no as for grades of severity.

    Raises:
        UnfitSchema: The label is a number.
        BadPlan: The model is for numbers.
    """
    match schema.label:
        case ClassLabel():
            return TabularTask("diagnosis", schema, model, seed)
    raise UnfitSchema(f"a diagnosis is one of declared classes; {schema.label.column} is a number")
