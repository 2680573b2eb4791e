"""A coordinator carries keys and ciphertexts between real sites, and leaves out who spoils them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy import canonical
from privacy.protocol.masks.pair_messages import (
    PairCiphertext,
    PairKey,
    decode_ciphertexts,
    decode_pair_keys,
    join_ciphertexts,
    join_pair_keys,
)
from privacy.wire import flower_records as wire
from privacy.wire import mask_messages
from strategies.coordinator.encrypted.opening.key_setup import KeyExchange
from strategies.coordinator.masked.opening.pairing import PairSetup
from strategies.coordinator.messaging.exchange import Exchange
from tests.carrier import answering, roster_of
from tests.masked_runs import placed
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    configured,
    refusal,
)

SUITE = "mlkem768_x25519"


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return placed(tmp_path)


def setup(consortium: Consortium, course: Course, up: Hook = as_it_is) -> PairSetup:
    bus = consortium.bus(course, configured({"masks": True}), up=up)
    return PairSetup(
        exchange=Exchange(grid=bus, deadline_s=0.0),
        agreement=consortium.charter.agreement,
        suite=SUITE,
        observe=course.events.append,
    )


def keys_of(consortium: Consortium, up: Hook = as_it_is) -> tuple[dict[str, PairKey], Course]:
    course = Course()
    return setup(consortium, course, up).collect_keys(roster_of(consortium), NAMES), course


def carried(consortium: Consortium, up: Hook = as_it_is) -> tuple[dict[str, str], Course]:
    """Carry everything up to the secrets; return who was left out, and with which code."""
    course, roster = Course(), roster_of(consortium)
    pairs = setup(consortium, course, up)
    exchange = KeyExchange(
        exchange=pairs.exchange, agreement=consortium.charter.agreement, observe=pairs.observe
    )
    assert exchange.agree_on_epoch(roster) == NAMES
    listed = join_pair_keys(pairs.collect_keys(roster, NAMES))
    opening, encoded = exchange.open_run(roster, NAMES, label="small", lineage="", listed=listed)
    left_out = pairs.carry_secrets(roster, opening, encoded=encoded, listed=listed)
    return {site: event.code for site, event in left_out.items()}, course


def key_of(consortium: Consortium, name: str) -> PairKey:
    return keys_of(consortium)[0][name]


def offering(site: str, key: PairKey) -> Hook:
    """Return a hook with which a site offers this key."""
    answer = mask_messages.pair_key(key.encode())
    return answering(site, mask_messages.PAIR_KEYS, lambda: answer)


def signed(consortium: Consortium, site: str, *, key: bytes, suite: str = SUITE) -> PairKey:
    parts = {"charter": consortium.charter.agreement.charter, "suite": suite, "site": site}
    body = PairKey.body_of(**parts, key=key)
    signature = consortium.identity(site).sign(body)
    return PairKey(
        charter=consortium.charter.agreement.charter,
        suite=suite,
        site=site,
        key=key,
        signature=signature,
    )


def test_each_site_offers_one_key_until_a_run_takes_it(consortium: Consortium) -> None:
    first, course = keys_of(consortium)
    assert tuple(first) == NAMES
    assert not course.quarantined
    assert keys_of(consortium)[0] == first
    assert carried(consortium)[0] == {}
    later, _ = keys_of(consortium)
    assert all(later[name] != first[name] for name in NAMES)


def test_who_offers_no_key_that_is_right_is_left_out(consortium: Consortium) -> None:
    own, other = key_of(consortium, "east"), key_of(consortium, "west")
    lies = {
        "malformed-record": answering("east", mask_messages.PAIR_KEYS, lambda: RecordDict({})),
        "wrong-pair-keys": offering("east", other),
        "bad-signature": offering("east", replace(own, key=other.key)),
        "unusable-pair-key": offering(
            "east", signed(consortium, "east", key=b"\xff" * len(own.key))
        ),
    }
    for code, lie in lies.items():
        keys, course = keys_of(consortium, lie)
        assert tuple(keys) == NAMES[1:]
        assert course.quarantined == {(0, "east", code)}


def test_of_two_who_offer_one_key_both_are_left_out(consortium: Consortium) -> None:
    """One copied it, and all others would refuse a list that holds it twice."""
    copied = signed(consortium, "east", key=key_of(consortium, "west").key)
    keys, course = keys_of(consortium, offering("east", copied))
    assert tuple(keys) == ("north", "south")
    assert course.quarantined == {(0, "east", "wrong-pair-keys"), (0, "west", "wrong-pair-keys")}


def test_every_pair_comes_to_share_a_secret(consortium: Consortium) -> None:
    left_out, course = carried(consortium)
    assert left_out == {}
    assert not course.quarantined
    for asked, _ in course.answers(mask_messages.PAIR_SECRETS):
        _, _, joined = mask_messages.read_pair_secrets(asked.content)
        senders = [one.terms.sender for one in decode_ciphertexts(joined)]
        assert senders == [name for name in NAMES if name < asked.site]
    listed = {
        mask_messages.read_pair_request(one.content)[2] for one, _ in course.answers("query.pair")
    }
    assert [set(decode_pair_keys(one)) for one in listed] == [set(NAMES)]


def sending(
    site: str, alter: Callable[[tuple[PairCiphertext, ...]], tuple[PairCiphertext, ...]]
) -> Hook:
    """Return a hook with which a site sends other ciphertexts than it made."""

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (site, mask_messages.PAIR) or refusal(passing.content):
            return passing.content
        made = decode_ciphertexts(mask_messages.read_pair_ciphertexts(passing.content))
        return mask_messages.pair_ciphertexts(join_ciphertexts(alter(made)))

    return hook


def resigned(consortium: Consortium, one: PairCiphertext, **changes: object) -> PairCiphertext:
    parts = {"terms": one.terms, "ciphertext": one.ciphertext, **changes}
    signature = consortium.identity(one.terms.sender).sign(PairCiphertext.body_of(**parts))
    return PairCiphertext(**parts, signature=signature)  # type: ignore[arg-type]


def test_ciphertexts_that_are_not_right_reach_nobody_and_their_maker_is_named(
    consortium: Consortium,
) -> None:
    def unsigned(made: tuple[PairCiphertext, ...]) -> tuple[PairCiphertext, ...]:
        first = made[0]
        bent = PairCiphertext(
            terms=first.terms, ciphertext=first.ciphertext, signature=made[1].signature
        )
        return (bent, *made[1:])

    left_out, course = carried(consortium, sending("east", unsigned))
    assert left_out == {"east": "foreign-pair-secret"}
    assert not course.answers(mask_messages.PAIR_SECRETS)


def test_a_secret_for_a_site_outside_the_run_is_refused(consortium: Consortium) -> None:
    def for_nobody(made: tuple[PairCiphertext, ...]) -> tuple[PairCiphertext, ...]:
        terms = replace(made[0].terms, recipient="nobody")
        return (resigned(consortium, made[0], terms=terms), *made[1:])

    assert carried(consortium, sending("east", for_nobody))[0] == {"east": "foreign-pair-secret"}


def test_two_secrets_for_one_site_are_no_answer(consortium: Consortium) -> None:
    def twice(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("east", mask_messages.PAIR):
            return passing.content
        joined = mask_messages.read_pair_ciphertexts(passing.content)
        tag, first = joined[: joined.index(b"\n") + 1], decode_ciphertexts(joined)[0]
        part = canonical.blob(first.encode())
        return mask_messages.pair_ciphertexts(tag + canonical.number(2) + 2 * part)

    assert carried(consortium, twice)[0] == {"east": "malformed-envelope"}


def test_a_secret_that_does_not_open_leaves_out_both(consortium: Consortium) -> None:
    """Nobody can tell which of the two lies, and a liar goes together with the one it slanders."""

    def bent(made: tuple[PairCiphertext, ...]) -> tuple[PairCiphertext, ...]:
        other = made[0].ciphertext[:-1] + bytes([made[0].ciphertext[-1] ^ 1])
        return (resigned(consortium, made[0], ciphertext=other), *made[1:])

    left_out, _ = carried(consortium, sending("east", bent))
    assert left_out == {
        "east": "pair-secret-disputed",
        "north": "site-refused.unreadable-pair-secret",
    }


@pytest.mark.parametrize("place", [-1, 1, 2, 99])
def test_a_site_that_disputes_a_secret_that_it_cannot_have_got_goes_alone(
    consortium: Consortium, place: int
) -> None:
    def disputes() -> RecordDict:
        return wire.refusal_of("unreadable-pair-secret", {"sender": place})

    lie = answering("north", mask_messages.PAIR_SECRETS, disputes)
    assert set(carried(consortium, lie)[0]) == {"north"}
