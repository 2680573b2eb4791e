"""The small consortium behind hubs: its sites, keys and records, with hubs between."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Context, Message

from consortium.charter.hubs import Hub
from consortium.config import RunConfig, Scalar
from consortium.coordinator.assembly import encrypted_strategy
from consortium.coordinator.hubs.absences import explaining
from consortium.coordinator.hubs.hub_grid import HubGrid
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey
from scenarios.engines.hubs import hub_apps
from scenarios.engines.in_process import InProcessGrid, SiteApp
from tests.small_consortium import (
    COORDINATOR,
    Consortium,
    Course,
    Hook,
    as_it_is,
    configured,
)

HubHook = Callable[[str, Message, Context, SiteApp], Message]


def through(_hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
    """Let a hub do what it does."""
    return app(asked, context)


def placed_behind(
    folder: Path, partition: Mapping[str, Sequence[str]], **agreed: Any
) -> Consortium:
    """Return a consortium whose charter names hubs, and who stands behind each."""
    run = RunDirectory(folder)
    hubs = tuple(
        Hub(
            name=name,
            members=tuple(members),
            signing=SigningKey.at(run.hub(name).key).public.hex(),
        )
        for name, members in partition.items()
    )
    names = sorted(name for members in partition.values() for name in members)
    return Consortium.placed(folder, tuple(names), hubs=hubs, **agreed)


def hub_bus(
    consortium: Consortium,
    course: Course,
    config: RunConfig,
    *,
    down: Hook = as_it_is,
    up: Hook = as_it_is,
    hook: HubHook = through,
) -> HubGrid:
    """Return the bus of a run through the hubs; `hook` may alter what a hub is asked or answers."""
    sites = consortium.bus(course, config, down=down, up=up)._apps
    apps = hub_apps(consortium.run, consortium.charter, config, sites)

    def hooked(name: str, app: SiteApp) -> SiteApp:
        return lambda asked, context: hook(name, asked, context, app)

    names = [hub.name for hub in consortium.charter.hubs]
    altered = {
        index: hooked(name, app) for name, (index, app) in zip(names, apps.items(), strict=True)
    }
    grid = InProcessGrid(altered, len(sites), config.flat())
    return HubGrid(grid, consortium.charter, config.digest)


def started(
    consortium: Consortium,
    *,
    down: Hook = as_it_is,
    up: Hook = as_it_is,
    hook: HubHook = through,
    **overrides: Scalar,
) -> Course:
    """Run to the end through the hubs."""
    course, config = Course(), configured(overrides)
    grid = hub_bus(consortium, course, config, down=down, up=up, hook=hook)
    return led_through(consortium, course, config, grid)


def led_through(consortium: Consortium, course: Course, config: RunConfig, grid: HubGrid) -> Course:
    """Run to the end on a bus through hubs; return what was left behind."""
    try:
        vault = EvidenceStore(consortium.run.vault, keeps_all=config.keep_uploads == "all")
        strategy = encrypted_strategy(
            config,
            consortium.charter,
            observe=explaining(course.events.append, lambda: grid.away),
            keep=vault.keep,
            reach=lambda _progress: None,
            sign=COORDINATOR.sign,
        )
        course.progress = strategy.start(grid, config.num_server_rounds)
    except ConsortiumError as error:
        course.error = error
    return course
