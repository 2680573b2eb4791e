"""Why there are no figures: each sentence says that they are withheld, and by whom."""

import pytest

from consortium.run import withheld


@pytest.mark.parametrize(
    "told",
    [
        withheld.withheld_by_roster(["east"]),
        withheld.withheld_by_roster(["east", "north"]),
        withheld.withheld_for_missing(["west"]),
        withheld.withheld_by_charter(),
        withheld.withheld_by_policies(),
        withheld.nobody_or_too_few(),
    ],
)
def test_every_reason_begins_with_the_word_and_gives_it(told: str) -> None:
    assert told.startswith("withheld, because ")
    assert not told.endswith(".")


def test_few_sites_are_named_and_many_are_counted() -> None:
    assert "east counts held-out" in withheld.withheld_by_roster(["east"])
    assert "east and north count held-out" in withheld.withheld_by_roster(["east", "north"])
    assert "because 9 sites did not answer" in withheld.withheld_for_missing(list("abcdefghi"))
