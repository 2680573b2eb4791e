"""Hubs in process: each is a node of the coordinator's bus, and has a bus of its own to its sites.

The hub is that of the product; only the buses are of this process.
"""

from collections.abc import Mapping

from flwr.app import Context, Message

from consortium.charter.document import Charter
from consortium.charter.hub_keys import own_hub_key
from consortium.charter.hubs import Hub
from consortium.config import RunConfig
from consortium.coordinator.hubs.regional_hub import RegionalHub
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from scenarios.engines.in_process import InProcessGrid, SiteApp


def hub_apps(
    run: RunDirectory, charter: Charter, config: RunConfig, sites: Mapping[int, SiteApp]
) -> dict[int, SiteApp]:
    """Return the apps of a charter's hubs, by index: above those of the sites.

    Args:
        run: Where the hubs have their keys, and keep what they add.
        charter: Names the hubs.
        config: Of the run.
        sites: The app of each site, by its index in the charter.
    """
    return {
        len(sites) + at: _hub_app(run, charter, config, hub, sites)
        for at, hub in enumerate(charter.hubs)
    }


def _hub_app(
    run: RunDirectory,
    charter: Charter,
    config: RunConfig,
    hub: Hub,
    sites: Mapping[int, SiteApp],
) -> SiteApp:
    behind = {at: sites[at] for at, name in enumerate(charter.names) if name in hub.members}
    vault = EvidenceStore(run.hub(hub.name).vault, keeps_all=config.keep_uploads == "all")
    regional = RegionalHub(
        hub=hub,
        grid=InProcessGrid(behind, len(sites), config.flat()),
        charter=charter,
        config=config,
        sign=own_hub_key(run.hub(hub.name).key, hub).sign,
        keep=vault.keep,
    )

    def app(asked: Message, context: Context) -> Message:
        content = regional.answer(asked, run=context.run_id, node=context.node_id)
        return Message(content, reply_to=asked)

    return app
