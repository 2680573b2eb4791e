"""A large update over a line on which connections are reset, really."""

import pytest

from tests.benchmarks.foreign_apps import UPDATE_MEGABYTES, over_a_thin_line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("megabytes", [100, UPDATE_MEGABYTES])
def test_a_large_update_arrives_whole_whatever_breaks_on_its_way(megabytes: int) -> None:
    came = over_a_thin_line(megabytes)
    assert came["whole"]
    assert came["resets"] > 0
    assert came["megabytes"] > megabytes
