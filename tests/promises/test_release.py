"""Whether a sum is accepted is told once in a run."""

from pathlib import Path

from privacy.encryption.parameters import Placement
from tests.carrier import Carrier
from tests.small_consortium import Consortium, altered, forget_processes, read_round
from tests.tampering import as_sum, numbers, with_constant

KIND = "query.release"


def with_noise(summed: bytes, placement: Placement, amount: int) -> bytes:
    """Return other bytes of the same plaintext: the least of each number stays below the noise."""
    values = numbers(summed, placement)
    values[0, 0, 0] += amount
    return as_sum(values, placement)


def test_asked_about_other_sums_a_site_says_nothing_more(tmp_path: Path) -> None:
    """A sum that still opens and one that no longer does get the same answer after the first."""
    forget_processes()
    consortium, carrier = Consortium.placed(tmp_path / "run"), Carrier()
    consortium.start(down=carrier.down, num_server_rounds=1)
    asked = carrier.asked["north", KIND]
    north, request = consortium.place("north", num_server_rounds=1), read_round(asked)
    placement = north.session(request).terms.counts("evaluation")
    sums = [with_noise(request.count_sum, placement, amount) for amount in range(1, 6)]
    sums.append(with_constant(request.count_sum, placement))
    told = {north.refusal(KIND, altered(asked, count_sum=one)) for one in sums}
    assert len(told) == 1
