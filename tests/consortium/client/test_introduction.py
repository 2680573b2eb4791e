from pathlib import Path

import pytest

from privacy.protocol.membership_proof import Presence
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
