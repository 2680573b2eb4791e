"""Hubs whose two halves are processes of their own, as between institutions: here two threads."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict

from consortium.charter.document import BadCharter, OtherKeys
from consortium.config import RunConfig
from consortium.coordinator.hubs import bridge as bridges
from consortium.coordinator.hubs import hub_serving
from consortium.coordinator.hubs.bridge import Bridge, HubQuestion, NobodyAnswers
from consortium.coordinator.hubs.hub_grid import HubGrid
from consortium.coordinator.hubs.hub_serving import hub_of_environment, serve_hub
from consortium.coordinator.reply_bound import read_bound
from consortium.run.directory import COORDINATOR, RunDirectory
from consortium.run.hub_directory import HubDirectory
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire.hub_messages import HUB_END
from scenarios.engines.in_process import InProcessGrid, SiteApp
from tests.hub_consortium import led_through, placed_behind
from tests.small_consortium import Consortium, Course, configured

TWO = {"hub-a": ("east", "west"), "hub-b": ("north", "south")}


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridges, "_LOOK_S", 0.05)


def hub_run(consortium: Consortium, name: str) -> RunDirectory:
    return RunDirectory(consortium.run.hub(name).path / "runs" / "first")


def serving(
    consortium: Consortium, name: str, config: RunConfig, sites: Mapping[int, SiteApp]
) -> threading.Thread:
    """Start the half of a hub that asks its members; return once it listens."""
    hub = consortium.run.hub(name)
    hub.named.write_text(f"{name}\n")
    members = next(one.members for one in consortium.charter.hubs if one.name == name)
    behind = {at: sites[at] for at, one in enumerate(consortium.charter.names) if one in members}
    grid = InProcessGrid(behind, len(sites), config.flat())
    run = hub_run(consortium, name)

    def serve() -> None:
        try:
            serve_hub(hub.path, run, grid, consortium.charter, config)
        finally:  # a thread closes what it opened, as the end of a process would
            for member in members:
                SITE_PROCESS.forget(consortium.run.site(member))

    thread = threading.Thread(target=serve)
    thread.start()
    while thread.is_alive() and not Bridge(run.bridge).is_served():
        pass
    return thread


def carrying(consortium: Consortium, name: str) -> SiteApp:
    """Return the half of a hub that hears the coordinator."""

    def app(asked: Message, context: Context) -> Message:
        question = HubQuestion(
            kind=asked.metadata.message_type,
            run=context.run_id,
            node=context.node_id,
            content=asked.content,
        )
        content = Bridge(hub_run(consortium, name).bridge).ask(question)
        return Message(content, reply_to=asked)

    return app


@contextmanager
def bridged(
    consortium: Consortium, course: Course, config: RunConfig
) -> Iterator[tuple[HubGrid, list[threading.Thread]]]:
    sites = consortium.bus(course, config)._apps
    names = [hub.name for hub in consortium.charter.hubs]
    threads = [serving(consortium, name, config, sites) for name in names]
    apps = {len(sites) + at: carrying(consortium, name) for at, name in enumerate(names)}
    grid = InProcessGrid(apps, len(sites), config.flat())
    through = HubGrid(grid, consortium.charter, config.digest, name="first")
    try:
        yield through, threads
    finally:
        through.dismiss_hubs()
        for thread in threads:
            thread.join(10)


def test_a_run_over_bridges_ends_in_the_bits_of_the_run_without_and_ends_its_hubs(
    tmp_path: Path, honest: tuple[Consortium, Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    consortium, course, config = placed_behind(tmp_path, TWO), Course(), configured({})
    door = consortium.run.hub("hub-a").path
    (door / "flower").mkdir()
    monkeypatch.setenv(COORDINATOR, str(door))
    with bridged(consortium, course, config) as (grid, threads):
        led_through(consortium, course, config, grid)
        assert all(thread.is_alive() for thread in threads)
    assert (course.error, course.quarantined) == (None, set())
    assert course.model == honest[1].model
    assert not any(thread.is_alive() for thread in threads)
    for name, members in TWO.items():
        vault = hub_run(consortium, name).vault
        for member in members:
            assert [*vault.glob(f"round-*/*/upload-{member}.bin")]
    # What a hub's door lets in is bounded by the model, of which only the questions tell it.
    assert read_bound(door, 1).numbers > 1


def test_a_hub_whose_run_died_is_away_until_it_begins_anew(tmp_path: Path) -> None:
    consortium, config = placed_behind(tmp_path, TWO), configured({})
    sites = consortium.bus(Course(), config)._apps
    with bridged(consortium, Course(), config) as (grid, threads):
        everybody = {*grid.get_node_ids()}
        assert grid.away == frozenset()
        end = HubQuestion(kind=HUB_END, run=1, node=1, content=RecordDict())
        with pytest.raises(NobodyAnswers):  # it is of no run: refused, and all the same the last
            Bridge(hub_run(consortium, "hub-a").bridge).ask(end)
        threads[0].join(10)
        node = min(everybody)
        asked = Message(RecordDict(), node, "query.hello", ttl=60.0)
        (reply,) = grid.send_and_receive([asked], timeout=1)
        assert reply.has_error()
        assert grid.away == {*TWO["hub-a"]}
        assert len({*grid.get_node_ids()}) == 2
        threads.append(serving(consortium, "hub-a", config, sites))
        assert len({*grid.get_node_ids()}) == 2  # once more: so its members are greeted again
        assert {*grid.get_node_ids()} == everybody
        assert grid.away == {*TWO["hub-a"]}  # until it answered what it was asked last


def test_a_hub_that_hears_nothing_for_too_long_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_serving, "_LONGEST_SILENCE_S", 0.1)
    consortium, config = placed_behind(tmp_path, TWO), configured({})
    sites = consortium.bus(Course(), config)._apps
    thread = serving(consortium, "hub-a", config, sites)
    thread.join(10)
    assert not thread.is_alive()


def test_a_hub_whose_key_was_lost_serves_nothing_and_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_serving, "_LONGEST_SILENCE_S", 0.1)
    consortium, config = placed_behind(tmp_path, TWO), configured({})
    hub = consortium.run.hub("hub-a")
    hub.named.write_text("hub-a\n")
    hub.key.unlink()
    grid = InProcessGrid({}, 0, config.flat())
    with pytest.raises(OtherKeys, match="the hub hub-a signs with"):
        serve_hub(hub.path, hub_run(consortium, "hub-a"), grid, consortium.charter, config)
    assert not hub.key.exists()


def test_only_the_directory_of_a_hub_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(COORDINATOR, raising=False)
    assert hub_of_environment() is None
    monkeypatch.setenv(COORDINATOR, str(tmp_path))
    assert hub_of_environment() is None
    HubDirectory(tmp_path).named.write_text("hub-x\n")
    assert hub_of_environment() == tmp_path
    consortium, config = placed_behind(tmp_path / "all", TWO), configured({})
    grid = InProcessGrid({}, 0, config.flat())
    with pytest.raises(BadCharter, match="hub-x"):
        serve_hub(tmp_path, RunDirectory(tmp_path), grid, consortium.charter, config)
