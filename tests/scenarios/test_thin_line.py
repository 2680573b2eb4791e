"""A large update over a connection that is reset again and again."""

import pytest

from tests.benchmarks.foreign_apps import UPDATE_MEGABYTES, over_a_thin_line

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("megabytes", [100, UPDATE_MEGABYTES])
def test_a_large_update_arrives_complete_although_connections_break(megabytes: int) -> None:
    came = over_a_thin_line(megabytes)
    assert came["whole"]
    assert came["resets"] > 0
    assert came["megabytes"] > megabytes
