"""Use cases of tables: credit default, diagnosis, house prices."""

from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.task import TabularTask


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
