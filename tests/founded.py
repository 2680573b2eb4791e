"""A small consortium whose coordinator's app runs, and writes a directory for each run."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from flwr.app import Context, Message

from consortium.charter.document import Floors
from consortium.client_app import app as client_app
from consortium.config import RunConfig, Scalar
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.server_app import app as server_app
from scenarios.engines.in_process import SiteApp, Vanished, run_in_process
from tests.decisions import decide
from tests.small_consortium import NAMES, Consortium, configured, forget_processes, records

ROWS = 200


class Founded:
    """Four sites that evaluate for one roster, and a coordinator with a directory for each run.

    Args:
        folder: For all of them.
        minimum_count: Persons of a class behind figures that a site releases.
        encrypted: Whether the members encrypt every run.
    """

    def __init__(self, folder: Path, *, minimum_count: int = 10, encrypted: bool = True) -> None:
        forget_processes()
        floors = Floors(full_class_examples=100, encrypted=encrypted)
        self.consortium = Consortium.placed(folder / "sites", floors=floors, coordinator_key="")
        self.runs = folder / "runs"
        for name in NAMES:
            site = self.consortium.run.site(name)
            records(name, ROWS).to_parquet(site / "data.parquet", index=False)
            releases = {"evaluation_rosters": "one", "minimum_count": minimum_count}
            decide(site, releases=releases)

    def run(
        self, run: RunDirectory, config: RunConfig, *, away: str = "", only_at_the_end: bool = False
    ) -> RunDirectory:
        """Run the coordinator's app to its end, with the sites as they are."""
        forget_processes()
        run.path.mkdir(parents=True)
        self.consortium.charter.write(run.charter)
        apps = {index: self.app_of(name, away, only_at_the_end) for index, name in enumerate(NAMES)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ENVIRONMENT, str(run.path))
            run_in_process(server_app, apps, num_sites=len(NAMES), run_config=config.flat())
        return run

    def train(
        self,
        name: str,
        *,
        without: str = "",
        chosen: Mapping[str, Scalar] = MappingProxyType({}),
        **who: Any,
    ) -> RunDirectory:
        """Train for a round, from another seed than the runs before."""
        seed = 7 + len(list(self.runs.glob("*")))
        told: dict[str, Scalar] = {
            "num_server_rounds": 1,
            "quorum": 3,
            "seed": seed,
            "without": without,
        }
        return self.run(RunDirectory(self.runs / name), configured({**told, **chosen}), **who)

    def app_of(self, name: str, away: str, only_at_the_end: bool) -> SiteApp:
        """Return the app of a site, which does not answer if it is away, or not at the end."""
        directory = str(self.consortium.run.site(name))

        def app(message: Message, context: Context) -> Message:
            kind = message.metadata.message_type
            if name == away and (not only_at_the_end or kind == "evaluate"):
                raise Vanished
            context.node_config["site-dir"] = directory
            return client_app(message, context)

        return app
