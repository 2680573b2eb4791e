"""Credit: will a borrower default? Two classes, of which the second is the one to find."""

from sites.plans import ModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask

MODEL = ModelPlan(name="mlp", hidden_units=32)
PLAN = TrainingPlan(batch_size=128, learning_rate=0.05, momentum=0.9, weight_decay=1e-3)


def credit(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the task, for logistic regression or a small multilayer perceptron.

    Raises:
        UnfitSchema: The label does not have two classes.
        BadPlan: The model is for numbers.
    """
    match schema.label:
        case ClassLabel(binary=True):
            return TabularTask("credit", schema, model, seed)
    raise UnfitSchema(f"credit tells two classes apart; {schema.label.column} is something else")
