"""A masked run of real sites, put question by question, from its keys to its release."""

from pathlib import Path

from flwr.app import RecordDict

from tests.masked_by_hand import ByHand, memory_of
from tests.small_consortium import Consortium, forget_processes


def test_it_ends_in_the_same_model_to_the_bit_as_the_run_without_masks(tmp_path: Path) -> None:
    plain = Consortium.placed(tmp_path / "plain").start()
    assert plain.error is None
    run = ByHand(Consortium.placed(tmp_path / "masked"))
    last, released = run.play()
    assert {one.model.hex() for one in last.replies.values()} == {plain.model}
    assert all(one.released is not None for one in released.values())


class Twice(ByHand):
    """Each question is put twice, and every process dies in between."""

    def answer(self, name: str, kind: str, content: RecordDict) -> RecordDict:
        """Return what a site answers, both times."""
        first = super().answer(name, kind, content)
        forget_processes()
        again = super().answer(name, kind, content)
        assert kind == "query.hello" or again == first
        return first


def test_asked_again_in_another_process_every_answer_is_the_same(tmp_path: Path) -> None:
    """From the offer of its keys to the release."""
    run = ByHand(Consortium.placed(tmp_path))
    run.compare_ledgers()
    run.agree_on_epoch()
    twice = Twice(run.consortium)
    twice.offer_keys()
    opened = ByHand(run.consortium, keys=twice.keys)
    opened.open()
    twice.opening = opened.opening
    twice.pair()
    last, _ = twice.play_rounds()
    assert len({one.model for one in last.replies.values()}) == 1


def test_after_the_release_no_file_of_a_site_holds_a_pair_secret(tmp_path: Path) -> None:
    run = ByHand(Consortium.placed(tmp_path))
    run.set_up()
    secrets = {
        name: [one.secret for one in memory_of(place).pairs.pair_secrets(run.run).values()]
        for name, place in run.places.items()
    }
    assert all(len(held) == len(run.names) - 1 for held in secrets.values())
    kept = {name: everything_in(place.directory) for name, place in run.places.items()}
    assert all(one in kept[name] for name, held in secrets.items() for one in held)
    run.play_rounds()
    kept = {name: everything_in(place.directory) for name, place in run.places.items()}
    assert not any(one in kept[name] for name, held in secrets.items() for one in held)


def everything_in(directory: Path) -> bytes:
    """Return the bytes of all files of a site."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
