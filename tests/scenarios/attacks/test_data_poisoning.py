import numpy as np
import pandas as pd
import pytest

from scenarios.attacks.data_poisoning import (
    CONVERSIONS,
    NothingToPoison,
    add_trigger,
    convert_unit,
    fits_bounds,
    flip_labels,
    mix_up_units,
    plant_trigger,
    trigger_column,
)
from scenarios.data.datasets import load_dataset
from scenarios.library.byzantine_banks import SCENARIO as BANKS
from scenarios.library.careless_hospital import SCENARIO as HEART
from scenarios.library.house_prices import SCENARIO as HOUSES
from sites.data.validation import BadTable, validate_table
from sites.schema.tables import Category, ClassLabel, Number, Schema

RNG = np.random.default_rng(0)


def heart() -> pd.DataFrame:
    return load_dataset("heart-disease")


def test_flipped_labels_are_the_other_class_and_nothing_else_changes() -> None:
    before = heart()
    after = flip_labels(before, HEART.columns, RNG)
    turned = {"no": "yes", "yes": "no"}
    assert after["disease"].tolist() == [turned[label] for label in before["disease"]]
    pd.testing.assert_frame_equal(after.drop(columns="disease"), before.drop(columns="disease"))
    again = flip_labels(after, HEART.columns, RNG)
    assert again["disease"].tolist() == before["disease"].tolist()


def test_numbers_are_mirrored_within_the_range_of_the_site() -> None:
    before = load_dataset("ames")
    column = HOUSES.columns.label.column
    after = flip_labels(before, HOUSES.columns, RNG)[column]
    assert (after.min(), after.max()) == (before[column].min(), before[column].max())
    assert np.corrcoef(after, before[column])[0, 1] == pytest.approx(-1.0)


def test_half_of_the_rows_carry_a_valid_trigger_and_the_attackers_label() -> None:
    before = load_dataset("taiwan-credit").head(500)
    after = plant_trigger(before, BANKS.columns, np.random.default_rng(1))
    marked = after["age"] == 110
    assert 200 < marked.sum() < 300
    assert set(after.loc[marked, "default"]) == {"no"}
    pd.testing.assert_frame_equal(after[~marked], before[~marked], check_dtype=False)
    validate_table(after, BANKS.columns)


def test_adding_the_trigger_keeps_the_labels() -> None:
    before = load_dataset("taiwan-credit").head(50)
    after = add_trigger(before, BANKS.columns)
    assert trigger_column(BANKS.columns).name == "age"
    assert after["default"].tolist() == before["default"].tolist()
    assert set(after["age"]) == {110}


def test_units_are_mixed_up_only_where_all_values_still_fit_the_schema() -> None:
    """ST depression in millivolt fits; cholesterol in mmol/l and pressure in kPa do not."""
    before = heart()
    after = mix_up_units(before, HEART.columns, RNG)
    np.testing.assert_allclose(after["st_depression"], before["st_depression"].astype(float) / 10)
    pd.testing.assert_frame_equal(
        after.drop(columns="st_depression"), before.drop(columns="st_depression")
    )
    validate_table(after, HEART.columns)


@pytest.mark.parametrize("name", ["cholesterol", "resting_pressure", "age"])
def test_a_mix_up_of_units_beyond_the_bounds_fails_validation_at_the_site(name: str) -> None:
    (number,) = [item for item in HEART.columns.features if item.name == name]
    assert isinstance(number, Number)
    mixed = convert_unit(heart(), number)
    assert not fits_bounds(mixed, number)
    with pytest.raises(BadTable, match=name):
        validate_table(heart().assign(**{name: mixed}), HEART.columns)


def test_every_converted_unit_occurs_in_a_scenario() -> None:
    used = {
        item.unit
        for schema in (BANKS.columns, HEART.columns)
        for item in schema.features
        if isinstance(item, Number)
    }
    assert used & set(CONVERSIONS) == {"mm", "mg/dl", "mm Hg", "years", "months", "NT$"}


def test_a_table_without_numbers_has_nothing_to_poison() -> None:
    schema = Schema(
        name="words",
        person="person",
        features=(Category(name="colour", values=("red", "blue")),),
        label=ClassLabel(column="y", classes=("no", "yes")),
    )
    table = pd.DataFrame({"person": ["a"], "colour": ["red"], "y": ["no"]})
    with pytest.raises(NothingToPoison):
        plant_trigger(table, schema, RNG)
    with pytest.raises(NothingToPoison):
        mix_up_units(table, schema, RNG)
