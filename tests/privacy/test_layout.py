import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.layout import MAX_DIM, MAX_FIELDS, Field, Layout, LayoutMismatch

names = st.text(min_size=1, max_size=8)
shapes = st.lists(st.integers(1, 4), max_size=3).map(tuple)
layouts = st.builds(
    Layout,
    fields=st.dictionaries(names, shapes, min_size=1, max_size=5).map(
        lambda found: tuple(Field(name, shape) for name, shape in found.items())
    ),
    start=st.text(max_size=8),
)
TWO = Layout(fields=(Field("weight", (2, 3)), Field("bias", (3,))))


@given(layouts, st.data())
def test_arrays_come_back_from_the_vector_bit_by_bit(layout: Layout, data: st.DataObject) -> None:
    vector = data.draw(arrays.arrays(np.float32, layout.dim)).astype(np.float64)

    found = layout.unflatten(vector)

    assert {name: array.shape for name, array in found.items()} == {
        item.name: item.shape for item in layout.fields
    }
    np.testing.assert_array_equal(layout.flatten(found), vector)


@given(layouts)
def test_a_layout_survives_being_described_as_json(layout: Layout) -> None:
    back = Layout.from_description(json.loads(json.dumps(layout.describe())))

    assert back == layout
    assert back.digest == layout.digest


@given(layouts, layouts)
def test_digests_are_equal_only_for_equal_layouts(one: Layout, other: Layout) -> None:
    assert (one.digest == other.digest) == (one == other)


@given(layouts, st.data())
def test_model_digests_are_equal_only_for_equal_float32_numbers_of_one_layout(
    layout: Layout, data: st.DataObject
) -> None:
    numbers = arrays.arrays(np.float32, layout.dim, elements=st.floats(1, 2, width=32))
    one, other = data.draw(numbers), data.draw(numbers)

    digest = layout.digest_of(one.astype(np.float64))

    assert digest == layout.digest_of(one + 1e-12)
    assert (digest == layout.digest_of(other.astype(np.float64))) == np.array_equal(one, other)
    assert digest != Layout(fields=layout.fields, start=layout.start + "!").digest_of(one)


def test_order_and_start_are_part_of_the_digest() -> None:
    turned = Layout(fields=TWO.fields[::-1])
    elsewhere = Layout(fields=TWO.fields, start="other weights")

    assert len({TWO.digest, turned.digest, elsewhere.digest}) == 3


def test_the_vector_holds_the_fields_in_order_rows_first() -> None:
    arrays_ = {
        "bias": np.array([7, 8, 9], np.float32),
        "weight": np.arange(1, 7, dtype=np.float32).reshape(2, 3),
    }

    vector = TWO.flatten(arrays_)

    assert vector.dtype == np.float64
    np.testing.assert_array_equal(vector, [1, 2, 3, 4, 5, 6, 7, 8, 9])


def test_a_scalar_is_one_number() -> None:
    layout = Layout(fields=(Field("scale", ()),))

    assert layout.dim == 1
    assert layout.unflatten(np.array([3.0]))["scale"].shape == ()


@pytest.mark.parametrize(
    "given_arrays",
    [
        {"weight": np.zeros((2, 3), np.float32)},
        {"weight": np.zeros((2, 3)), "bias": np.zeros(3), "more": np.zeros(1)},
        {"weight": np.zeros((2, 3)), "other": np.zeros(3)},
        {"weight": np.zeros((3, 2)), "bias": np.zeros(3)},
        {"weight": np.zeros(6), "bias": np.zeros(3)},
    ],
    ids=["missing", "unknown", "renamed", "transposed", "flattened"],
)
def test_arrays_that_are_not_those_agreed_are_refused(
    given_arrays: Mapping[str, np.ndarray],
) -> None:
    with pytest.raises(LayoutMismatch):
        TWO.flatten(given_arrays)


@pytest.mark.parametrize("shape", [(8,), (10,), (1, 9), ()])
def test_a_vector_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayoutMismatch, match="holds 9 numbers"):
        TWO.unflatten(np.zeros(shape))


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (Field("a", (1,)), Field("a", (2,))),
        (Field("a", (0,)),),
        (Field("a", (2, -1)),),
        (Field("a", (MAX_DIM + 1,)),),
        (Field("a", (MAX_DIM,)), Field("b", (1,))),
        tuple(Field(str(i), (1,)) for i in range(MAX_FIELDS + 1)),
    ],
    ids=["none", "twice", "empty", "negative", "huge", "huge together", "many"],
)
def test_layouts_that_no_model_has_are_refused(fields: tuple[Field, ...]) -> None:
    with pytest.raises(LayoutMismatch):
        Layout(fields=fields)


def test_the_largest_layouts_are_accepted_without_holding_memory() -> None:
    assert Layout(fields=(Field("a", (MAX_DIM,)),)).dim == MAX_DIM
    assert Layout(fields=tuple(Field(str(i), (1,)) for i in range(MAX_FIELDS))).dim == MAX_FIELDS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    json_values
    | st.fixed_dictionaries({"start": json_values, "fields": json_values})
    | st.fixed_dictionaries(
        {"start": st.text(), "fields": st.lists(st.tuples(names, json_values).map(list))}
    )
)
def test_any_json_value_is_a_layout_or_refused_by_type(description: object) -> None:
    try:
        layout = Layout.from_description(description)
    except LayoutMismatch:
        return
    assert layout.dim == sum(math.prod(item.shape) for item in layout.fields)


@pytest.mark.parametrize(
    "field",
    [["a"], ["a", 3], [3, [1]], ["a", [1.0]], ["a", [True]], ["a", ["1"]], ["a", [1] * 9], "a", {}],
)
def test_a_field_that_is_not_a_name_and_sides_is_refused(field: object) -> None:
    with pytest.raises(LayoutMismatch):
        Layout.from_description({"start": "zero", "fields": [field]})


@pytest.mark.parametrize(
    "description",
    [
        {"start": "zero"},
        {"fields": [["a", [1]]]},
        {"start": 0, "fields": [["a", [1]]]},
        {"start": "zero", "fields": "a"},
        {"start": "zero", "fields": [["a", [1]]] * (MAX_FIELDS + 1)},
    ],
)
def test_a_description_without_its_parts_is_refused(description: object) -> None:
    with pytest.raises(LayoutMismatch):
        Layout.from_description(description)


def test_a_name_that_no_encoding_can_write_still_has_a_digest() -> None:
    """The digest is over JSON in ASCII, so a hostile name cannot make it fail."""
    assert len(Layout(fields=(Field("\ud800", (1,)),)).digest) == 64
