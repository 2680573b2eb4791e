"""What is lost where only answers to agreed texts are averaged, and no update.

`python -m tests.benchmarks.distillation [--json]` from the root of the repository takes minutes:
`notes-and-questions` with one encoder at all four sites, once by shared updates as it is shipped,
and once with `learner=distil`, beside each site alone and all records in one place. The agreed
texts are nobody's: phrases of ICD-10-CM and SYNTHETIC questions that no site has.
"""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from consortium.config import Scalar
from scenarios.data.icd10_phrases import all_phrases
from scenarios.data.synthetic_questions import notes_and_questions, patient_questions
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.comparison import compare
from scenarios.library.registry import scenario_named
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.founding import arm

SCENARIO = "notes-and-questions"
PHRASES, QUESTIONS, SEED = 300, 100, 2026
EPOCHS = 3


def agreed_texts() -> list[str]:
    """Return the agreed texts, none of which a site has; the same on every machine."""
    held, rng = {*notes_and_questions()["text"]}, np.random.default_rng(SEED)
    found: list[str] = []
    for frame, count in ((all_phrases(), PHRASES), (patient_questions(SEED), QUESTIONS)):
        others = sorted({*frame["text"]} - held)
        found += [others[place] for place in rng.choice(len(others), count, replace=False)]
    return found


def distilled(folder: Path) -> Mapping[str, Scalar]:
    """Return the keys of a run that distils, whose agreed texts are in the folder."""
    texts = agreed_texts()
    path = folder / "agreed.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return {
        "learner": "distil",
        "num-server-rounds": 1,
        "local-epochs": EPOCHS,
        "distil.file": str(path),
        "distil.digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        "distil.texts": len(texts),
    }


def measured(chosen: Mapping[str, Scalar], folder: Path) -> dict[str, object]:
    """Return what a run and its comparison ended with."""
    scenario, began = scenario_named(SCENARIO), time.monotonic()
    config = scenario.config_with(chosen)
    run = new_run_directory(scenario, under=folder, named=None)
    summary = run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    found = compare(scenario, config, run, tell=lambda _text: None)
    alone = [one.value for one in found.arms if one.kind == "alone"]
    return {
        "metric": found.metric_title,
        "held_out": found.held_out,
        "together": round(arm(found, "federated").value, 4),
        "pooled": round(arm(found, "pooled").value, 4),
        "best_alone": round(max(alone), 4),
        "mean_alone": round(sum(alone) / len(alone), 4),
        "arms": {one.name: round(one.value, 4) for one in found.arms},
        "bytes_up": summary.bytes_up,
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Run both and print their figures."""
    asked = options(__doc__).parse_args()
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, chosen in (("distil", distilled(Path(folder))), ("updates", {})):
            report[name] = measured(chosen, Path(folder))
    print_figures(report, as_json=asked.json)


if __name__ == "__main__":
    main()
