"""What an encrypted round costs beyond its parts: seal, open, add, and the bare step.

One run of 10 sites with 100,000 parameters, all parties in one process. Parts are the CPU time of
the sites' sealing (with quantising, and the coefficients of the checksums of both ways), of their
opening, of the coordinator's adding, and of the step: training, evaluation, and what rule and
optimizer make of a sum. The whole is the CPU of the same rounds, of all parties. The first round,
which alone reads tables and imports libraries, is left out.
"""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from consortium.client.encrypted import uploads
from consortium.coordinator.recorder import Recorder
from consortium.protocol.run_state import UpdateStep
from privacy.encryption.ciphertext_sum import Adder
from privacy.secrets.linear_mac import Checksum
from privacy.secrets.sealer import Sealer
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.messaging.events import RoundStarted
from tests.benchmarks.deployment import crowd

SITES, ROUNDS = 10, 8

PARTS: dict[str, list[tuple[Any, str]]] = {
    "seal": [(Sealer, "seal"), (uploads, "quantise"), (Checksum, "__init__")],
    "open": [(Sealer, "open")],
    "add": [(Adder, "add"), (Adder, "parts")],
    "step": [(TabularTask, "train"), (TabularTask, "evaluate"), (UpdateStep, "advance")],
}


@dataclass
class RoundTimes:
    """CPU seconds of each part so far, and of the process, whenever a round began."""

    parts: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    began: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def timed(self, part: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Return a part that notes how long it took."""

        @functools.wraps(inner)
        def timing(*given: Any, **named: Any) -> Any:
            before = time.thread_time()
            try:
                made = inner(*given, **named)
                return iter(list(made)) if isinstance(made, Iterator) else made
            finally:
                self.parts[part] += time.thread_time() - before

        return timing

    def note(self, recorder: Recorder, event: object) -> None:
        """Note when a round begins, and pass the event on."""
        if isinstance(event, RoundStarted):
            self.began.append((time.process_time(), dict(self.parts)))
        _RECORD(recorder, event)


_RECORD: Callable[[Recorder, Any], None] = Recorder.__call__


@contextmanager
def timed_rounds() -> Iterator[RoundTimes]:
    """Time the parts of all rounds of this process."""
    times = RoundTimes()
    with ExitStack() as stack:
        for part, places in PARTS.items():
            for owner, name in places:
                timing = times.timed(part, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timing))
        note = functools.partialmethod(lambda recorder, event: times.note(recorder, event))
        stack.enter_context(mock.patch.object(Recorder, "__call__", note))
        yield times


def round_over_parts(rounds: int = ROUNDS) -> dict[str, float]:
    """Return what a site and round takes in milliseconds, as a whole and by part, and the ratio."""
    scenario = crowd(SITES, "encrypted")
    config = scenario.config_with({"num-server-rounds": rounds})
    with tempfile.TemporaryDirectory() as folder, timed_rounds() as times:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        summary = run_scenario(ScenarioRun(scenario=scenario, config=config), run)
        if summary.rounds != rounds:
            raise SystemExit(f"{summary.rounds} of {rounds} rounds were run: {summary.error}")
    # From the second round on, up to the question that ends the run.
    (start, before), (end, after) = times.began[2], times.began[rounds]
    scale = 1_000 / (SITES * (rounds - 2))
    parts = {part: scale * (after[part] - before[part]) for part in PARTS}
    whole = scale * (end - start)
    return {"whole_ms": whole, **parts, "ratio": whole / sum(parts.values())}
