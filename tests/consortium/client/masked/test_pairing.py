"""How pairs of sites come to share secrets, and what is refused on the way."""

from dataclasses import replace
from pathlib import Path

import pytest

from privacy.protocol.masks.pair_messages import (
    PAIR_CIPHERTEXT_SIZE,
    PairCiphertext,
    PairKey,
    decode_ciphertexts,
    decode_pair_keys,
    join_ciphertexts,
    join_pair_keys,
)
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key
from privacy.wire import mask_messages
from privacy.wire.flower_records import read_refusal
from tests.masked_by_hand import ByHand, memory_of
from tests.small_consortium import Consortium, forget_processes


@pytest.fixture(scope="module")
def opened_run(tmp_path_factory: pytest.TempPathFactory) -> ByHand:
    """A run whose sites share no secret yet."""
    run = ByHand(Consortium.placed(tmp_path_factory.mktemp("opened")))
    run.compare_ledgers()
    run.agree_on_epoch()
    run.offer_keys()
    run.open()
    return run


@pytest.fixture
def opened(opened_run: ByHand, tmp_path: Path) -> ByHand:
    """A copy of it which a test may alter."""
    return opened_run.again(tmp_path / "run")


def test_a_key_is_offered_until_a_run_takes_it_and_no_second_run_gets_it(opened: ByHand) -> None:
    taken = opened.keys
    opened.offer_keys()
    assert opened.keys == taken
    forget_processes()
    opened.offer_keys()
    assert opened.keys == taken
    opened.pair()
    opened.offer_keys()
    assert not {*decode_pair_keys(opened.keys).values()} & {*decode_pair_keys(taken).values()}
    opened.keys = taken
    opened.open()
    assert opened.refusal("east", "query.pair", opened.pair_request()) == "pair-key-used"


def test_asked_again_after_a_restart_a_site_sends_the_same_ciphertexts(opened: ByHand) -> None:
    first = {one: opened.answer(one, "query.pair", opened.pair_request()) for one in opened.names}
    opened.pair()
    forget_processes()
    for name in opened.names:
        assert opened.answer(name, "query.pair", opened.pair_request()) == first[name]
        opened.answer(name, "query.pair_secrets", opened.pair_secrets(name))


def test_both_of_a_pair_hold_one_secret_and_no_private_key_is_left(opened: ByHand) -> None:
    opened.pair()
    held = {
        name: {other: one.secret for other, one in kept.items()}
        for name, place in opened.places.items()
        for kept in [memory_of(place).pairs.pair_secrets(opened.run)]
    }
    assert all(held[one][two] == held[two][one] for one in held for two in held if one != two)
    assert len({secret for kept in held.values() for secret in kept.values()}) == 6
    for place in opened.places.values():
        assert not memory_of(place).pairs.run_key(opened.run).material


def with_key(run: ByHand, name: str) -> bytes:
    """Return the list of keys with another key in a site's name that the site did sign."""
    made = sign_pair_key(
        PairPrivateKey.generate(),
        identity=run.consortium.identity(name),
        charter=bytes.fromhex(run.charter),
        suite=PairKey.decode(decode_pair_keys(run.keys)[name].encode()).suite,
    )
    return join_pair_keys({**decode_pair_keys(run.keys), name: made})


def test_another_list_of_keys_is_another_run(opened: ByHand) -> None:
    opened.keys = with_key(opened, "east")
    assert opened.refusal("north", "query.pair", opened.pair_request()) == "wrong-descriptor"


def test_a_site_refuses_a_list_with_a_key_that_it_did_not_offer(opened: ByHand) -> None:
    opened.keys = with_key(opened, "north")
    opened.open()
    assert opened.refusal("north", "query.pair", opened.pair_request()) == "pair-key-unknown"


def test_a_site_refuses_a_list_that_is_not_of_the_whole_roster(opened: ByHand) -> None:
    listed = dict(decode_pair_keys(opened.keys))
    del listed["west"]
    asked = mask_messages.masked_opening_request(
        opened.charter, "small", opened.names, "", keys=join_pair_keys(listed)
    )
    assert opened.refusal("east", "query.open", asked) == "wrong-pair-keys"


def test_the_coordinator_exchanges_no_ciphertext(opened: ByHand) -> None:
    """Nobody but the sender can sign one, and none is of use in another run."""
    opened.pair()
    earlier = dict(opened.ciphertexts)
    opened.offer_keys()
    opened.open()
    for name in opened.names:
        opened.answer(name, "query.pair", opened.pair_request())
    opened.ciphertexts = earlier
    asked = opened.pair_secrets("west")
    assert opened.refusal("west", "query.pair_secrets", asked) == "foreign-pair-secret"


def test_a_ciphertext_that_is_missing_is_named_and_nothing_is_sealed_before(
    opened: ByHand,
) -> None:
    question = opened.question(0).content()
    assert opened.refusal("west", "query.statistics", question) == "pair-secrets-missing"
    opened.pair()
    forged = replace(opened)
    forged.offer_keys()
    forged.open()
    for name in forged.names:
        forged.answer(name, "query.pair", forged.pair_request())
    forged.ciphertexts = {"west": join_ciphertexts([])}
    asked = forged.pair_secrets("west")
    assert forged.refusal("west", "query.pair_secrets", asked) == "pair-secrets-missing"
    question = forged.question(0).content()
    assert forged.refusal("west", "query.statistics", question) == "pair-secrets-missing"


def from_north(opened: ByHand, recipient: str, ciphertext: bytes) -> PairCiphertext:
    """Return what north signs for a place in the run, whatever it holds."""
    (earlier,) = (
        one
        for one in decode_ciphertexts(opened.ciphertexts[recipient])
        if one.terms.sender == "north"
    )
    said = PairCiphertext.body_of(terms=earlier.terms, ciphertext=ciphertext)
    signature = opened.consortium.identity("north").sign(said)
    return PairCiphertext(terms=earlier.terms, ciphertext=ciphertext, signature=signature)


@pytest.mark.parametrize(
    ("before", "code"), [(True, "two-pair-secrets"), (False, "unreadable-pair-secret")]
)
def test_who_signs_a_wrong_secret_is_named_by_its_place(
    opened: ByHand, before: bool, code: str
) -> None:
    """Whether the site holds the right one already, or not."""
    if before:
        opened.pair()
    else:
        opened.gather_secrets()
    wrong = from_north(opened, "west", bytes(PAIR_CIPHERTEXT_SIZE))
    others = [
        one for one in decode_ciphertexts(opened.ciphertexts["west"]) if one.terms.sender != "north"
    ]
    opened.ciphertexts["west"] = join_ciphertexts([*others, wrong])
    answer = opened.places["west"].ask("query.pair_secrets", opened.pair_secrets("west"))
    assert read_refusal(answer) == (code, {"sender": opened.names.index("north")})


def test_a_ciphertext_for_another_site_is_refused(opened: ByHand) -> None:
    opened.pair()
    strangers = decode_ciphertexts(opened.ciphertexts["south"])
    opened.ciphertexts["west"] = join_ciphertexts(strangers)
    asked = opened.pair_secrets("west")
    assert opened.refusal("west", "query.pair_secrets", asked) == "foreign-pair-secret"
