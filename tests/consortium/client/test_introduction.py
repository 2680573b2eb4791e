from pathlib import Path

import pytest

from privacy.protocol.membership_proof import Declined, Presence
from privacy.wire import flower_records as wire
from privacy.wire import messages
from tests.consortium.staged import Ward, ward

CHALLENGE = b"c" * 32


def introduced(at: Ward) -> messages.Introduction:
    greeting = messages.greeting(at.site.charter.fingerprint, CHALLENGE)
    return messages.read_introduction(at.ask(messages.HELLO, greeting), max_examples=10**9)


@pytest.fixture
def keyed(tmp_path: Path) -> Ward:
    return ward(tmp_path, aggregation="encrypted")


def test_a_site_with_keys_signs_that_it_is_behind_its_node(keyed: Ward) -> None:
    said = introduced(keyed)
    signed = Presence(
        charter=bytes.fromhex(keyed.site.charter.fingerprint),
        run=keyed.context.run_id,
        node=keyed.context.node_id,
        challenge=CHALLENGE,
        site="hungary",
        layout=bytes.fromhex(keyed.site.task.layout.digest),
        num_examples=0,
    )
    keyed.site.charter.identities["hungary"].verify(signed.encode(), said.proof)


def test_a_site_without_its_keys_does_not_say_who_it_is(keyed: Ward) -> None:
    (keyed.run.site("hungary") / "secrets" / "identity.secret").unlink()
    greeting = messages.greeting(keyed.site.charter.fingerprint, CHALLENGE)
    assert keyed.refusal(messages.HELLO, greeting) == "secret-missing"


def test_without_keys_in_the_charter_there_is_nothing_to_sign_with(tmp_path: Path) -> None:
    assert introduced(ward(tmp_path)).proof == b""


def test_a_site_with_keys_signs_why_it_refuses_a_greeting(keyed: Ward) -> None:
    """A charter that it did not sign, and the kill switch: behind the gate, and at its door."""
    other = "ab" * 32
    (keyed.run.site("hungary") / "STOPPED").touch()
    for charter in (other, keyed.site.charter.fingerprint):
        for _again in range(3):
            refused = keyed.ask(messages.HELLO, messages.greeting(charter, CHALLENGE))
            read = wire.read_refusal(refused)
            assert read is not None
            signed = Declined(
                charter=bytes.fromhex(charter),
                run=keyed.context.run_id,
                node=keyed.context.node_id,
                challenge=CHALLENGE,
                site="hungary",
                code=read[0],
                counts=read[1],
            )
            public = keyed.site.charter.identities["hungary"]
            public.verify(signed.encode(), wire.refusal_proof(refused))


def test_a_site_signs_the_refusal_of_nothing_but_a_greeting(keyed: Ward) -> None:
    """Nor without its key, nor what is no greeting."""
    question = messages.question("ab" * 32)
    greeting = messages.greeting("ab" * 32, CHALLENGE)
    asked = [(messages.STATISTICS, question), (messages.HELLO, question)]
    for kind, content in asked:
        assert wire.refusal_proof(keyed.ask(kind, content)) == b""
    assert wire.refusal_proof(keyed.ask(messages.HELLO, greeting)) != b""
    (keyed.run.site("hungary") / "secrets" / "identity.secret").unlink()
    refused = keyed.ask(messages.HELLO, greeting)
    assert wire.read_refusal(refused)
    assert wire.refusal_proof(refused) == b""
