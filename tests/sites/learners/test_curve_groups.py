import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.curve_groups import ONE_CURVE, CurveGroups
from sites.plans import BadPlan
from sites.schema.tables import EventTimeLabel
from tests.sites.learners.descriptions.described import CLASSES, ENDS, drawn


@given(st.integers(0, 60), st.integers(0, 1000), st.sampled_from(["", "sex"]))
def test_each_record_is_in_one_life_table_of_its_group(n: int, seed: int, name: str) -> None:
    groups, records = CurveGroups.named(ENDS, name), drawn(ENDS, n, seed)
    assert isinstance(ENDS.label, EventTimeLabel)
    tables = groups.life_tables(records, ENDS.label.grid)
    assert len(tables) == len(groups.names)
    held = [int(one.events.sum() + one.withdrawn.sum()) for one in tables]
    codes = records.columns["sex"]
    wanted = [n] if not name else [int((codes == code).sum()) for code in (0, 1, -1)]
    assert held == wanted
    (whole,) = ONE_CURVE.life_tables(records, ENDS.label.grid)
    assert np.sum([one.events for one in tables], axis=0).tolist() == whole.events.tolist()


def test_groups_are_named_by_the_schema_and_what_is_no_category_is_refused() -> None:
    assert CurveGroups.named(ENDS, "sex").names == ("female", "male", "missing")
    assert CurveGroups.named(CLASSES, "") == ONE_CURVE
    for name in ("age", "nothing"):
        with pytest.raises(BadPlan, match=r"cox\.group must be a category of the schema \(sex\)"):
            CurveGroups.named(ENDS, name)
