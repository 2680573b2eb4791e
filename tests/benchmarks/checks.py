"""What the checks of an encrypted run cost a site: CPU and bytes, over many rounds in one process.

`python -m tests.benchmarks.checks [--json]` from the root of the repository. Real sites run
`heart-diagnosis`, 200 rounds of its small model and a few of a large one, and the time spent in
each check is added up: time of the CPU, of one thread, a check within another counted once. The
baseline is the CPU of the same run as a whole, of all parties. Bytes a parameter are what the two
runs differ by, in what the checks add to the questions and keep on the disk in a round.
"""

import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from consortium import client_app
from consortium.audit import journal
from consortium.client import mods, private_training
from consortium.client.audit_trail import SiteAuditTrail
from consortium.client.encrypted import session as sealed_session
from consortium.client.encrypted.session import Session
from consortium.client.encrypted.uploads import Answers
from consortium.client.encrypted.verification import Checks, ExactCounts
from consortium.config import Scalar
from consortium.run.party_directory import PartyDirectory
from consortium.site.directory import SiteDirectory
from privacy.protocol import signed_question
from privacy.secrets.answer_memory import AnswerMemory
from privacy.wire.encrypted_messages import SealedRound
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures

CPU_TARGET_MS = 5.0
BYTES_TARGET = 0.0
ROUNDS = 200
LARGE_ROUNDS = 10
SUM_BYTES_A_PARAMETER = 7.55  # `download_bytes_per_param` of the benchmark `homomorphic`
HIDDEN = 50_000  # of heart-diagnosis' network: sums of megabytes

CHECKS: dict[str, list[tuple[Any, str]]] = {
    "signature": [(sealed_session, "keep_question")],
    "shown_once": [(AnswerMemory, "remember_question")],
    "chain": [(Checks, "require_chain")],
    "one_roster": [
        *((ExactCounts, name) for name in ("claim_roster", "counts_statistics")),
        *((ExactCounts, name) for name in ("require_statistics_of_roster", "take_statistics")),
        *((Answers, name) for name in ("require_start", "claim_opened")),
    ],
    "ledger": [(client_app, "enter_evaluation"), (private_training, "enter_updates")],
    "final_state": [(Session, "require_final_state"), (client_app, "confirm_model")],
    "refusals": [(mods, "_refused_again")],
    "hash_of_the_question": [(journal, "sha256_of"), (signed_question, "sha256_of")],
    "audit_log": [(SiteAuditTrail, "note_question"), (SiteAuditTrail, "note_answer")],
}


@dataclass
class Stopwatch:
    """CPU seconds of each call of each check, and the bytes that signatures added."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    signature_bytes: int = 0
    sum_bytes: int = 0
    _within: list[float] = field(default_factory=list)

    def timed(self, check: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Return a check that notes how long it took, less what another check within it took."""

        @functools.wraps(inner)
        def timing(*given: Any, **named: Any) -> Any:
            self._within.append(0.0)
            began = time.thread_time()
            try:
                return inner(*given, **named)
            finally:
                took = time.thread_time() - began
                self.seconds[check].append(took - self._within.pop())
                if self._within:
                    self._within[-1] += took

        return timing

    def growth(self) -> float:
        """Return how many times as long the last quarter of the rounds took as the second."""
        early = late = 0.0
        for all_ in self.seconds.values():
            quarter = len(all_) // 4
            early += sum(all_[quarter : 2 * quarter])
            late += sum(all_[len(all_) - quarter :])
        return late / early


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time the checks of all sites of this process."""
    watch = Stopwatch()
    with ExitStack() as stack:
        for check, places in CHECKS.items():
            for owner, name in places:
                timing = watch.timed(check, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timing))
        inner = SealedRound.read

        def read(*given: Any, **named: Any) -> SealedRound:
            request = inner(*given, **named)
            watch.signature_bytes += len(request.signature)
            watch.sum_bytes = len(request.sums) or watch.sum_bytes  # the first are twice as long
            return request

        stack.enter_context(mock.patch.object(SealedRound, "read", read))
        yield watch


def measured(rounds: int, **chosen: Scalar) -> dict[str, Any]:
    """Return what the checks cost in one run, each figure a site and round."""
    scenario = scenario_named("heart-diagnosis")
    asked: dict[str, Scalar] = {"aggregation": "encrypted", "num-server-rounds": rounds}
    config = scenario.config_with({**asked, **chosen})
    with tempfile.TemporaryDirectory() as folder, stopwatch() as watch:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        began = time.process_time()
        summary = run_scenario(ScenarioRun(scenario=scenario, config=config), run)
        whole = time.process_time() - began
        if summary.rounds != rounds:
            raise SystemExit(f"{summary.rounds} of {rounds} rounds were run: {summary.error}")
        times = len(scenario.sites) * rounds
        kept = sum(_kept_bytes(run.site(name)) for name in scenario.sites)
    by_check = {check: 1_000 * sum(all_) / times for check, all_ in watch.seconds.items()}
    return {
        "sum_bytes": watch.sum_bytes,
        "by_check_ms": {name: round(one, 3) for name, one in by_check.items()},
        "cpu_ms": sum(by_check.values()),
        "late_over_early": watch.growth(),
        "share_of_run": sum(by_check.values()) * times / 1_000 / whole,
        "bytes": (watch.signature_bytes + kept) / times,
    }


def _kept_bytes(site: Path) -> int:
    """Return the size of a site's log and ledger."""
    folders = (PartyDirectory(site).audit, SiteDirectory(site).ledger)
    return sum(file.stat().st_size for one in folders for file in one.rglob("*") if file.is_file())


def report(rounds: int = ROUNDS, *, hidden: int = HIDDEN) -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    began = time.monotonic()
    long, few = measured(rounds), min(rounds, LARGE_ROUNDS)
    small = measured(few)
    large = measured(few, model="mlp", **{"hidden-units": hidden})
    parameters = large["sum_bytes"] / SUM_BYTES_A_PARAMETER
    held = {
        "cpu_ms": (long["cpu_ms"], CPU_TARGET_MS),
        "cpu_ms_large_model": (large["cpu_ms"], CPU_TARGET_MS),
        "bytes_a_parameter": (
            round(max(large["bytes"] - small["bytes"], 0) / parameters, 3),
            BYTES_TARGET,
        ),
    }
    return {
        "benchmark": "checks",
        "baseline": "CPU of the same run as a whole, all parties",
        "rounds": rounds,
        "large_model_sum_bytes": large["sum_bytes"],
        **{name: round(figure, 3) for name, (figure, _) in held.items()},
        "late_over_early": round(long["late_over_early"], 2),
        "share_of_run": round(long["share_of_run"], 3),
        "share_of_run_large_model": round(large["share_of_run"], 3),
        "by_check_ms": long["by_check_ms"],
        "by_check_ms_large_model": large["by_check_ms"],
        "missed": [
            {"what": name, "figure": round(figure, 3), "target": target}
            for name, (figure, target) in held.items()
            if figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="fewer, to try it out")
    chosen = parser.parse_args()
    print_figures(report(chosen.rounds), as_json=chosen.json)


if __name__ == "__main__":
    main()
