"""States as a coordinator that lies may send them: any float32 numbers in any place."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from privacy.layout import Layout, Vector

ODD = [0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 20.0, 21.0, 65536.0, 1e5, -1e5, 2.0**24, 1e30, -1e30, 3.4e38]
NUMBERS = st.one_of(
    st.sampled_from([*ODD, float("nan"), float("inf"), float("-inf"), 1e-40]),
    st.floats(width=32),
    st.integers(-3, 40).map(float),
)


@st.composite
def hostile_states(draw: st.DrawFn, honest: Vector, layout: Layout) -> Vector:
    """Draw a state that differs from an honest one in some places of a part, or of all."""
    found = honest.astype(np.float32).astype(np.float64)
    ends = np.cumsum([0, *(int(np.prod(one.shape)) for one in layout.fields)])
    part = draw(st.integers(0, len(layout.fields)))
    low, high = (0, int(ends[-1])) if part == len(layout.fields) else ends[part : part + 2]
    places = st.integers(int(low), int(high) - 1)
    for place, value in draw(st.lists(st.tuples(places, NUMBERS), min_size=1, max_size=6)):
        found[place] = value
    return found


def refused_or_done(work: Callable[[], object]) -> str:
    """Do it; return the code of the refusal if there is one. Nothing else may be raised."""
    try:
        work()
    except ConsortiumError as error:
        return error.code
    return ""
