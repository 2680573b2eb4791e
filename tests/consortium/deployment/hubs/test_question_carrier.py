"""The half of a hub that hears the coordinator: what it carries, and what it says of why not."""

import threading
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict

from consortium.config import RunConfig, new_run_config
from consortium.coordinator.hubs import bridge as bridges
from consortium.coordinator.hubs.bridge import Bridge, HubQuestion
from consortium.deployment.hubs.question_carrier import carrier_app
from consortium.run.directory import RunDirectory
from consortium.run.hub_directory import HubDirectory
from consortium.run.party_directory import CoordinatorDirectory
from privacy.wire.hub_messages import HUB_CARRY, HUB_END, HUB_HELLO, HubHello, Passed
from privacy.wire.messages import greeting
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.messaging.exchange import HUB_AWAY
from tests.consortium.founded import Founded, found_with_hubs, install_hubs, provide
from tests.small_consortium import message

CONFIG = new_run_config({"seed": 7}, {"aggregation": "encrypted"}, task="credit")
NAME = "first"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """Two hubs whose kits are installed, and which are not up."""
    founded = found_with_hubs(tmp_path_factory.mktemp("hubs"))
    provide(founded)
    install_hubs(founded)
    InProcessGrid({}, 0, {})  # so that this process can make messages
    return founded


def hello(founded: Founded, *, name: str = NAME, config: RunConfig = CONFIG) -> RecordDict:
    said = HubHello(
        name=name,
        charter=founded.charter.fingerprint,
        config=config.digest,
        challenge=bytes(32),
    )
    return said.content()


def carry(founded: Founded) -> RecordDict:
    said = Passed(
        name=NAME,
        charter=founded.charter.fingerprint,
        config=CONFIG.digest,
        kind="query.hello",
        group="0",
        nodes=(1,),
        sites=("",),
        contents=(greeting(founded.charter.fingerprint, bytes(32)),),
        asked=(0,),
    )
    return said.content()


def asked(founded: Founded, kind: str, content: RecordDict) -> Message:
    context = Context(1, 2, {}, RecordDict(), CONFIG.flat())
    return carrier_app(founded.path / "alps")(message(kind, content), context)


def runs_of(founded: Founded) -> set[Path]:
    return set((founded.path / "alps").glob("runs/*"))


def require_away(founded: Founded, answer: Message, why: str) -> None:
    """Check that the coordinator hears nothing but that the hub is away, and its operator why."""
    assert answer.has_error()
    assert (answer.error.code, answer.error.reason) == (HUB_AWAY, "the hub is away")
    log = HubDirectory(founded.path / "alps").node_log
    assert why in log.read_text()
    log.unlink()


def test_another_charter_or_run_config_is_told_to_the_hubs_operator_only(founded: Founded) -> None:
    other = new_run_config({"seed": 8}, {"aggregation": "encrypted"}, task="credit")
    answer = asked(founded, HUB_HELLO, hello(founded, config=other))
    require_away(founded, answer, "install the kit that all others have")


def test_a_run_outside_the_charter_begins_nowhere(founded: Founded) -> None:
    """Its members agreed that every run is encrypted."""
    clear = new_run_config({"seed": 7}, {"aggregation": "clear"}, task="credit")
    context = Context(1, 2, {}, RecordDict(), clear.flat())
    question = message(HUB_HELLO, hello(founded, config=clear))
    answer = carrier_app(founded.path / "alps")(question, context)
    require_away(founded, answer, "OutsideCharter")


def test_where_the_hubs_superlink_is_down_its_operator_reads_what_to_type(founded: Founded) -> None:
    before = runs_of(founded)
    answer = asked(founded, HUB_HELLO, hello(founded))
    require_away(founded, answer, "start it with `consortium coordinator up")
    assert runs_of(founded) == before


@pytest.mark.parametrize("name", ["../first", "a/b", "", ".hidden", "n" * 65])
def test_a_name_that_is_none_leads_nowhere(founded: Founded, name: str) -> None:
    """The coordinator says the name, and a directory is called so."""
    before = runs_of(founded)
    answer = asked(founded, HUB_HELLO, hello(founded, name=name))
    require_away(founded, answer, "MalformedRecord")
    assert runs_of(founded) == before


@pytest.mark.parametrize("kind", [HUB_CARRY, HUB_END])
def test_a_question_before_any_greeting_finds_nobody(founded: Founded, kind: str) -> None:
    """A run that began anew is greeted first: its members have other keys for their digests."""
    content = carry(founded) if kind == HUB_CARRY else hello(founded)
    require_away(founded, asked(founded, kind, content), "hub's run is not there")


def test_what_a_run_of_the_hub_answers_is_brought_back(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridges, "_LOOK_S", 0.05)
    hub = CoordinatorDirectory(founded.path / "alps")
    bridge = Bridge(RunDirectory(hub.run(f"{NAME}-{CONFIG.digest[:8]}")).bridge)
    came: list[HubQuestion] = []

    def answer(question: HubQuestion) -> RecordDict:
        came.append(question)
        return question.content

    def goes_on(question: HubQuestion | None) -> bool:
        return question is None or question.kind != HUB_END

    serving = threading.Thread(
        target=lambda: bridge.serve(answer, goes_on=goes_on, note=lambda _error: None)
    )
    serving.start()
    while not bridge.is_served():
        pass
    sent = {HUB_HELLO: hello(founded), HUB_CARRY: carry(founded), HUB_END: hello(founded)}
    for kind, content in sent.items():
        assert asked(founded, kind, content).content == content
    serving.join(10)
    assert [one.kind for one in came] == [*sent]
    assert {one.node for one in came} == {2}
