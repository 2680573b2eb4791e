"""Sums that the coordinator cannot read, against NVFLARE's scheme and plaintext float32.

`python -m tests.benchmarks.homomorphic [--quick] [--json]` from the root of the repository.
Times are CPU time per parameter, user and system, each taken in a process of its own, as Flower
starts one per message at a site; a coordinator is one process that adds a round of 16 uploads.
Scheme and baseline alternate, medians of the repetitions are compared. Ten minutes at most.
"""

import json
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from privacy.encryption.parameters import PARAMETER_SETS
from privacy.encryption.quantisation import Scales
from privacy.secrets.sealer import BfvSecret
from tests.benchmarks import nvflare_scheme
from tests.benchmarks.figures import options
from tests.benchmarks.masked_steps import mask_ratios
from tests.benchmarks.sealing_steps import (
    DIM,
    MANY_SITES,
    SITES,
    Figures,
    added,
    alone,
    baseline_added,
    baseline_encrypted,
    baseline_opened,
    coordinator_memory,
    large_seal,
    many_sites,
    opened,
    plaintext,
    scales,
    sealed,
    sealed_by_two,
    summed,
    update_of,
)

Report = dict[str, object]

MINILM_DIM = 22_713_216
STEPS = ("client", "coordinator", "open")
LABELS = {"client": "seal", "coordinator": "add", "open": "open"}
AT_MOST = {
    "upload_bytes_per_param": 4.1,
    "download_bytes_per_param": 8.1,
    "rel_l2": 2e-5,
    "checksum_share": 0.05,
    "coordinator_bytes_per_param": 10.0,
    "minilm_seal_s": 2.2,
    "seal_mask_ratio_4": 1.10,
    "seal_mask_ratio_15": 1.40,
    "open_mask_ratio_15": 1.50,
    "mask_bytes_per_param": 0.0,
}
AT_LEAST = {
    "client_speedup": 8.4,
    "coordinator_speedup": 20.0,
    "open_speedup": 8.0,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured.

    Args:
        repeats: Times that each figure is taken.
        large_dim: Values of the large model.
    """

    repeats: int
    large_dim: int


FULL, QUICK = Plan(repeats=5, large_dim=MINILM_DIM), Plan(repeats=2, large_dim=MINILM_DIM // 10)


def repetition(material: bytes, context: bytes, chosen: Scales, folder: Path) -> Figures:
    """Return every time once, ours and the baseline's in turn."""
    path = folder / "upload"
    theirs, their_client = alone(baseline_encrypted, context)
    upload, times = alone(sealed, material, chosen, 1)
    path.write_bytes(upload)
    two = alone(sealed_by_two, material, chosen)
    download, their_coordinator = alone(baseline_added, theirs)
    total, coordinator = alone(added, path)
    their_open = alone(baseline_opened, context, download)
    _, opening = alone(opened, material, chosen, total, [1] * SITES)
    return {
        **times,
        **alone(plaintext),
        "client_2proc": two,
        "coordinator": coordinator,
        "open": opening,
        "their_client": their_client,
        "their_coordinator": their_coordinator,
        "their_open": their_open,
        "their_upload": sum(len(part) for sent in theirs for part in sent),
        "their_download": sum(len(part) for sent in download for part in sent),
    }


def accuracy(material: bytes, chosen: Scales, folder: Path) -> Figures:
    """Return sizes, and the error of the mean of 16 different sites, through every step."""
    paths = [folder / f"upload-{site}" for site in range(SITES)]
    for site, path in enumerate(paths):
        path.write_bytes(alone(sealed, material, chosen, site)[0])
    total, marker = alone(summed, paths), many_sites().upload_marker
    marked = folder / "upload-marked"
    marked.write_bytes(marker + paths[0].read_bytes()[len(marker) :])
    mean, _ = alone(opened, material, chosen, total, range(SITES))
    exact = sum(update_of(site) for site in range(SITES)) / SITES
    return {
        "upload_bytes_per_param": paths[0].stat().st_size / DIM,
        "download_bytes_per_param": len(total) / DIM,
        "rel_l2": float(np.linalg.norm(mean - exact) / np.linalg.norm(exact)),
        "coordinator_bytes_per_param": alone(coordinator_memory, marked, MANY_SITES) / DIM,
        "coordinator_bytes_per_param_4_sites": alone(coordinator_memory, marked, 4) / DIM,
    }


def speed(material: bytes, context: bytes, chosen: Scales, folder: Path, plan: Plan) -> Report:
    """Return speed-ups, and what they were taken from, in nanoseconds a parameter."""
    rounds = [repetition(material, context, chosen, folder) for _ in range(plan.repeats)]
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    ours = {name: 1e9 * middle[name] / DIM for name in STEPS}
    theirs = {name: 1e9 * middle[f"their_{name}"] / DIM for name in STEPS}
    return {
        **{f"{name}_speedup": theirs[name] / ours[name] for name in STEPS},
        "client_speedup_2proc": middle["their_client"] / middle["client_2proc"],
        "checksum_share": middle["checksum"],
        "ns_per_param": ours,
        "baseline": {
            **{f"{name}_ns_per_param": taken for name, taken in theirs.items()},
            "upload_bytes_per_param": middle["their_upload"] / DIM,
            "download_bytes_per_param": middle["their_download"] / DIM,
        },
        "plaintext": {
            f"{name}_ns_per_param": 1e9 * middle[f"plain_{name}"] / DIM for name in STEPS
        },
    }


def large_model(plan: Plan) -> Report:
    """Return how long it takes to seal a MiniLM on one core."""
    return {"minilm_seal_s": alone(large_seal, plan.large_dim) * MINILM_DIM / plan.large_dim}


def report_of(plan: Plan) -> Report:
    """Return every figure. What is measured of whole runs is one more line here."""
    material = BfvSecret.generate(PARAMETER_SETS["default"](SITES)).material()
    context, chosen = nvflare_scheme.fresh_context(), scales()
    with tempfile.TemporaryDirectory() as name:
        report: Report = {
            "benchmark": "homomorphic",
            "params": DIM,
            **accuracy(material, chosen, Path(name)),
            **speed(material, context, chosen, Path(name), plan),
            **large_model(plan),
            **alone(mask_ratios, material, 2 * plan.repeats + 1),
        }
    return {**report, "missed": missed(report)}


def missed(report: Report) -> list[dict[str, object]]:
    """Return the targets that were not met, with figure and target."""
    return [
        {"what": name, "target": target, "figure": report[name]}
        for targets, better in ((AT_MOST, float.__le__), (AT_LEAST, float.__ge__))
        for name, target in targets.items()
        if not better(float(cast(float, report[name])), target)
    ]


def table(report: Report) -> str:
    """Return the figures as people quote them."""
    ours, theirs, plain = (
        cast(Figures, report[name]) for name in ("ns_per_param", "baseline", "plaintext")
    )
    lines = [f"{'':34}{'ours':>10}{'NVFLARE':>10}{'times':>8}{'plaintext':>11}"]
    for name in STEPS:
        mine, other = ours[name], theirs[f"{name}_ns_per_param"]
        lines.append(
            f"{LABELS[name] + ', ns a parameter':34}{mine:10.1f}{other:10.1f}{other / mine:8.1f}"
            f"{plain[f'{name}_ns_per_param']:11.2f}"
        )
    for name in ("upload_bytes_per_param", "download_bytes_per_param"):
        mine, other = cast(float, report[name]), theirs[name]
        label = name.replace("_bytes_per_param", ", bytes a parameter")
        lines.append(f"{label:34}{mine:10.3f}{other:10.1f}{other / mine:8.1f}{4:11.2f}")
    rest = [name for name in (*AT_MOST, *AT_LEAST) if not name.endswith(("load_bytes_per_param",))]
    lines += [f"{name:34}{cast(float, report[name]):10.3g}" for name in rest]
    lines += [f"missed: {json.dumps(one)}" for one in cast(list[object], report["missed"])]
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    chosen = parser.parse_args()
    report = report_of(QUICK if chosen.quick else FULL)
    print(json.dumps(report, indent=2) if chosen.json else table(report))


if __name__ == "__main__":
    main()
