"""Sites with few rows learn with the default run config, also where they differ."""

import pytest

from consortium.config import DEFAULTS
from tests.benchmarks.few_rows import KINDS, Kind, dealt, ended


@pytest.mark.parametrize(
    "kind",
    # Where labels are skewed the sites differ most: the others are tried by test-all.
    [pytest.param(kind, marks=[] if kind == "by label" else pytest.mark.slow) for kind in KINDS],
)
def test_with_few_rows_the_defaults_find_what_there_is_to_learn(kind: Kind) -> None:
    """Twenty rounds of one step each leave a model close to where it began."""
    table = dealt(kind, 11)
    without, found = (
        ended(table, floor=floor, seed=11) for floor in (0, int(DEFAULTS["min-local-steps"]))
    )
    assert without.course == "falling"
    assert found.loss < without.loss - 0.1
    assert found.auc > max(0.85, without.auc)
