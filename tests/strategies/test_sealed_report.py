"""One site reports the sealed state; what else it could send is in test_encrypted.py."""

from pathlib import Path

import pytest
from flwr.app import RecordDict

from tests.small_consortium import NAMES, Consortium, Passing, read_round, spoiled


@pytest.mark.parametrize("shy", [1, 2])
def test_a_reporter_that_sends_no_state_is_passed_over_for_the_next(
    shy: int, tmp_path: Path
) -> None:
    """It is asked once more, and then the next one that signed the same state."""

    def without_state(passing: Passing) -> RecordDict:
        quiet = passing.kind == "train" and passing.site in NAMES[:shy]
        return spoiled(passing.content, state=b"") if quiet else passing.content

    consortium = Consortium.placed(tmp_path / "run", NAMES[:4])
    course = consortium.start(up=without_state)
    assert course.error is None, course.error
    asked = [one.site for one, _ in course.answers("train") if read_round(one.content).report]
    assert set(asked) == set(NAMES[: shy + 1])
    assert {site for _, site, _ in course.quarantined} == set(NAMES[:shy])
