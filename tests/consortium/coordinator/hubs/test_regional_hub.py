"""What a hub refuses: another agreement than its own, and what only members answer."""

from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.coordinator.hubs.regional_hub import NotForAHub, OtherAgreement, RegionalHub
from privacy.identity.log_signing_key import SigningKey
from privacy.wire.hub_messages import HUB_CARRY, HUB_END, HUB_HELLO, HubAnswer, HubHello, Passed
from privacy.wire.messages import greeting
from scenarios.engines.in_process import InProcessGrid
from tests.hub_consortium import placed_behind
from tests.small_consortium import configured, message


@pytest.fixture
def hub(tmp_path: Path) -> RegionalHub:
    """A hub without members that are there."""
    consortium = placed_behind(tmp_path, {"hub-a": ("east", "north", "west")})
    config = configured({})
    return RegionalHub(
        hub=consortium.charter.hubs[0],
        grid=InProcessGrid({}, 0, config.flat()),
        charter=consortium.charter,
        config=config,
        sign=SigningKey.at(consortium.run.hub("hub-a").key).sign,
        keep=lambda _name, _parts: None,
    )


def passed(hub: RegionalHub) -> Passed:
    return Passed(
        name="first",
        charter=hub.charter.fingerprint,
        config=hub.config.digest,
        kind="query.hello",
        group="0",
        nodes=(1001,),
        sites=("",),
        contents=(greeting("00" * 32, bytes(32)),),
        asked=(0,),
    )


def test_a_hub_refuses_another_charter_and_another_run_config(hub: RegionalHub) -> None:
    hello = HubHello(
        name="first",
        charter=hub.charter.fingerprint,
        config=hub.config.digest,
        challenge=bytes(32),
    )
    hub.answer(message(HUB_HELLO, hello.content()), run=1, node=1)
    assert hub.answer(message(HUB_END, hello.content()), run=1, node=1) == RecordDict()
    for other in (replace(hello, charter="00" * 32), replace(hello, config="00" * 32)):
        for kind in (HUB_HELLO, HUB_END):
            with pytest.raises(OtherAgreement):
                hub.answer(message(kind, other.content()), run=1, node=1)
    elsewhere = replace(passed(hub), config="00" * 32)
    with pytest.raises(OtherAgreement):
        hub.answer(message(HUB_CARRY, elsewhere.content()), run=1, node=1)


def test_a_hub_answers_no_question_of_a_member(hub: RegionalHub) -> None:
    with pytest.raises(NotForAHub):
        hub.answer(message("query.hello", RecordDict()), run=1, node=1)


def test_a_member_that_is_not_there_is_told_as_an_error(hub: RegionalHub) -> None:
    content = hub.answer(message(HUB_CARRY, passed(hub).content()), run=1, node=1)
    (brought,) = HubAnswer.read(content, asked=1).brought
    assert brought.error is not None
    assert not brought.summed
