"""A masked run of real sites, put question by question, from its keys to its release."""

from pathlib import Path

import pytest

from tests.masked_by_hand import ByHand
from tests.small_consortium import Consortium


@pytest.mark.parametrize("buckets", [1, 2], ids=["one bucket", "two buckets"])
def test_it_ends_in_the_same_model_to_the_bit_as_the_run_without_masks(
    tmp_path: Path, buckets: int
) -> None:
    plain = Consortium.placed(tmp_path / "plain").start()
    assert plain.error is None
    run = ByHand(Consortium.placed(tmp_path / "masked"))
    last, released = run.play()
    assert {one.model.hex() for one in last.replies.values()} == {plain.model}
    tallies = [one.released for one in released.values()]
    assert all(one is not None for one in tallies)
