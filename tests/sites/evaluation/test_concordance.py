import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.evaluation.concordance import concordant_pairs
from sites.evaluation.pairs import PairCounts

records = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 4)), max_size=35)


@given(records)
def test_pairs_are_those_that_two_loops_count(rows: list[tuple[int, bool, int]]) -> None:
    higher = equal = total = 0
    for time, event, risk in rows:
        for other, also, compared in rows:
            if event and (other > time or (other == time and not also)):
                total += 1
                higher += risk > compared
                equal += risk == compared
    found = concordant_pairs(
        np.array([row[0] for row in rows], np.float64),
        np.array([row[1] for row in rows], bool),
        np.array([row[2] for row in rows], np.float64),
    )
    assert found == PairCounts(concordant=higher, undecided=equal, total=total)


def test_turned_risks_turn_the_pairs() -> None:
    rng = np.random.default_rng(2)
    times, events, risks = rng.random(300), rng.random(300) < 0.5, rng.random(300)
    found, turned = (concordant_pairs(times, events, one) for one in (risks, -risks))
    assert found.discordant == turned.concordant
    assert found.total == turned.total > 0
