"""What smaller updates cost: AUC or F1, and bytes that the sites sent, against none of it.

`python -m tests.benchmarks.compression [--json] [SCENARIO ...]` from the root of the repository.
Each scenario runs in the clear with each compression and with pruning; `bank-credit` with a hidden
layer of 512 units also encrypted, and with one of 2,048 units only so. A named scenario may be of
texts, which takes long.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consortium.config import RunConfig, Scalar
from consortium.model.files import read_model
from consortium.protocol.parameters import packed_bytes
from consortium.run.records import Summary
from privacy.layout import Layout
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures

Settings = Mapping[str, Scalar]

WIDE, WIDER = "bank-credit:hidden-units=512", "bank-credit:hidden-units=2048"
WORST = 0.002  # by how much a metric may be lower
CLEAR_TARGET, SEALED_TARGET = 1 / 4, 1 / 2
SELDOM: Settings = {"evaluate-every": 10}
PRUNED: Settings = {"prune-to": 0.25, "prune-after": 4}
IN_THE_CLEAR: Mapping[str, Settings] = {
    "float16": {"compression": "float16"},
    "int8": {"compression": "int8"},
    "top-k": {"compression": "top-k"},
    "top-k 0.1": {"compression": "top-k", "compression-share": 0.1},
    "pruned": PRUNED,
    "pruned int8": {**PRUNED, "compression": "int8"},
    "float16 and evaluate-every=10": {"compression": "float16", **SELDOM},
    "int8 and evaluate-every=10": {"compression": "int8", **SELDOM},
    "top-k and evaluate-every=10": {"compression": "top-k", **SELDOM},
}
SEALED: Mapping[str, Settings] = {
    "compact-8": {"parameter-set": "compact-8"},
    "pruned": PRUNED,
    "pruned compact-8": {**PRUNED, "parameter-set": "compact-8"},
    "compact-8 and evaluate-every=10": {"parameter-set": "compact-8", **SELDOM},
}
JUDGED_BY = ("roc_auc", "macro_f1", "entity_f1")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a run ended with.

    Args:
        metric: The one it is judged by.
        sent: Bytes of all that its sites sent.
        updates: Those of their updates alone, in the clear.
    """

    metric: float
    sent: int
    updates: int

    @classmethod
    def of(cls, summary: Summary, config: RunConfig, layout: Layout) -> "Measured":
        """Return what a run's summary says."""
        judged = next(name for name in JUDGED_BY if name in summary.metrics)
        rounds = range(1, summary.rounds + 1)
        return cls(
            metric=summary.metrics[judged].value,
            sent=summary.bytes_up,
            updates=len(summary.sites) * sum(packed_bytes(config, layout, one) for one in rounds),
        )

    def against(self, none: "Measured") -> dict[str, float]:
        """Return metric and bytes beside those of the run without it, in the clear."""
        return {
            "metric": round(self.metric, 4),
            "lower_by": round(none.metric - self.metric, 4),
            "bytes": self.sent,
            "of_all_bytes": round(self.sent / none.sent, 3),
            "of_update_bytes": round(self.updates / none.updates, 3),
        }

    def sealed_against(self, none: "Measured") -> dict[str, float]:
        """Return metric and bytes beside those of the encrypted run without it."""
        return {key: one for key, one in self.against(none).items() if key != "of_update_bytes"}


def run(name: str, chosen: Settings) -> Measured:
    """Return what a scenario ended with; its name may bring a setting, as `WIDE` does."""
    named, _, setting = name.partition(":")
    key, _, number = setting.partition("=")
    scenario = scenario_named(named)
    config = scenario.config_with({**({key: int(number)} if key else {}), **chosen})
    with tempfile.TemporaryDirectory() as folder:
        directory = new_run_directory(scenario, under=Path(folder), named=None)
        summary = run_scenario(ScenarioRun(scenario=scenario, config=config), directory)
        layout = read_model(directory.model).task.layout
    return Measured.of(summary, config, layout)


def rows(name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield a name and the figures of each run of a scenario against the one with nothing."""
    if name != WIDER:
        none = run(name, {})
        yield f"{name}, clear, none", none.against(none)
        for chosen, settings in IN_THE_CLEAR.items():
            yield f"{name}, clear, {chosen}", run(name, settings).against(none)
    if name in (WIDE, WIDER):
        yield from sealed_rows(name)


def sealed_rows(name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the same of encrypted runs."""
    sealed: Settings = {"aggregation": "encrypted"}
    none = run(name, sealed)
    yield f"{name}, sealed, none", none.sealed_against(none)
    for chosen, settings in SEALED.items():
        yield f"{name}, sealed, {chosen}", run(name, {**sealed, **settings}).sealed_against(none)


def missed(figures: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return where a metric fell too low, and each scenario and mode that no setting made small."""
    found = [
        f"{name}: lower by {one['lower_by']}"
        for name, one in figures.items()
        if one["lower_by"] > WORST
    ]
    groups = dict.fromkeys(name.rpartition(", ")[0] for name in figures)
    for group in groups:
        target = SEALED_TARGET if group.endswith("sealed") else CLEAR_TARGET
        good = [
            one["of_all_bytes"]
            for name, one in figures.items()
            if name.startswith(group) and one["lower_by"] <= WORST
        ]
        if min(good) > target:
            found.append(f"{group}: {min(good)} of all bytes, above {target}")
    return found


def report(names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of each scenario, and the targets that were missed."""
    figures = dict(row for name in names for row in rows(name))
    return {**figures, "missed": missed(figures)}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument(
        "scenarios", nargs="*", default=["heart-diagnosis", "bank-credit", WIDE, WIDER]
    )
    chosen = parser.parse_args()
    print_figures(report(chosen.scenarios), as_json=chosen.json)


if __name__ == "__main__":
    main()
