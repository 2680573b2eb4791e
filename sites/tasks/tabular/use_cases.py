"""Use cases of tables: credit default, diagnosis, house prices.

All are the same task; they differ only in the labels that they accept.
"""

from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask


def credit_task(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the credit task, for logistic regression or a small multilayer perceptron.

    Raises:
        UnfitSchema: The label does not have two classes.
        BadPlan: The model is for numbers.
    """
    match schema.label:
        case ClassLabel(binary=True):
            return TabularTask("credit", schema, model, seed)
    raise UnfitSchema(
        f"credit needs a label with two classes, but {schema.label.column} has another type"
    )


def diagnosis_task(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the diagnosis task, for yes or no and for grades of severity.

    Raises:
        UnfitSchema: The label is a number.
        BadPlan: The model is for numbers.
    """
    match schema.label:
        case ClassLabel():
            return TabularTask("diagnosis", schema, model, seed)
    raise UnfitSchema(
        f"diagnosis needs a label with classes, but {schema.label.column} is a number"
    )


def house_prices_task(schema: Schema, model: ModelPlan, *, seed: int) -> TabularTask:
    """Return the house price task, for linear regression or a small multilayer perceptron.

    Raises:
        UnfitSchema: The label is not a number.
        BadPlan: The model is for classes.
    """
    match schema.label:
        case NumberLabel():
            return TabularTask("house-prices", schema, model, seed)
    raise UnfitSchema(
        f"house-prices needs a number as label, but {schema.label.column} has classes"
    )
