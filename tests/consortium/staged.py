"""Four hospitals, staged as a run stages them; messages are put to their real app by hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import Context, Message, RecordDict

from consortium.client_app import app
from consortium.config import RunConfig, Scalar
from consortium.protocol.evaluation_bins import bin_steps
from consortium.run.directory import RunDirectory
from consortium.site.site import Site, site_of
from privacy.layout import Tally, Vector
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named

SCENARIO = scenario_named("heart-diagnosis")


@dataclass(frozen=True)
class Ward:
    """One site of a staged run, and the config it is asked under."""

    run: RunDirectory
    name: str
    config: RunConfig

    @property
    def context(self) -> Context:
        """What Flower gives the app at this site."""
        node = {"site-dir": str(self.run.site(self.name))}
        return Context(1, 1, dict(node), RecordDict(), self.config.flat())

    @property
    def site(self) -> Site:
        """The site as its app sees it."""
        return site_of(self.context)

    @property
    def log(self) -> str:
        """What the site wrote down for its own operator."""
        path = self.run.site(self.name) / "site.log"
        return path.read_text() if path.exists() else ""

    def ask(self, kind: str, content: RecordDict) -> RecordDict:
        """Return what the real app answers."""
        return app(message(kind, content), self.context).content

    def refusal(self, kind: str, content: RecordDict) -> str:
        """Return the code with which the app refuses, or nothing if it does not."""
        return code_of(self.ask(kind, content))

    def position(self, vector: Vector, server_round: int = 1) -> RecordDict:
        """Return a message that trains or evaluates from a vector, with pooled statistics."""
        return messages.position(
            messages.Position(
                charter=self.site.charter.fingerprint,
                run="run-1",
                server_round=server_round,
                state=vector,
                statistics=self.statistics,
                score_bins=self.first_bins,
            )
        )

    @property
    def first_bins(self) -> bytes:
        """The score bins of the first evaluation."""
        return bin_steps(self.site.run_config, self.site.charter).first

    @property
    def statistics(self) -> Tally:
        """Statistics to scale by: this site's own, as if it were the only one."""
        return self.site.task.statistics_of(self.site.data)

    def vector(self, seed: int = 7) -> Vector:
        """Return some model."""
        drawn = np.random.default_rng(seed).normal(0, 0.1, self.site.task.layout.dim)
        return drawn.astype(np.float32).astype(np.float64)


def ward(folder: Path, name: str = "hungary", **chosen: Scalar) -> Ward:
    """Stage the run, unless it is there, and return one of its sites; `_` stands for `-`."""
    run = RunDirectory(folder)
    settings = {key.replace("_", "-"): value for key, value in chosen.items()}
    config = SCENARIO.config_with(settings)
    if not run.charter.exists():
        stage(run, SCENARIO, config=config)
    return Ward(run, name, config)


def message(kind: str, content: RecordDict) -> Message:
    """Return a message as Flower delivers it."""
    InProcessGrid({}, 0, {})  # lets this process make messages
    return Message(content, 1, kind)


def code_of(content: RecordDict) -> str:
    """Return the code of a refusal, or nothing if the content is none."""
    read = wire.read_refusal(content)
    return read[0] if read else ""
