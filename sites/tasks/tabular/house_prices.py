"""House prices: what will a house sell for? A number, by regression."""

from sites.plans import ModelPlan, TrainingPlan
from sites.schema.tables import NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask

MODEL = ModelPlan(name="linear")
PLAN = TrainingPlan(batch_size=64, learning_rate=0.01, momentum=0.9, weight_decay=3e-3)


def house_prices(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the task, for linear regression or a small multilayer perceptron.

    Raises:
        UnfitSchema: The label is no number.
        BadPlan: The model is for classes.
    """
    match schema.label:
        case NumberLabel():
            return TabularTask("house-prices", schema, model, seed)
    raise UnfitSchema(f"a price is a number; {schema.label.column} declares classes")
