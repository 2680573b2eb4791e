"""What a private step costs beside a plain one: tables, and MiniLM by what of it is trained.

`python -m tests.benchmarks.private_steps [--json]` from the root of the repository. CPU seconds of
one thread, the least of several tries in the same process, without draws and noise, and with them.
Peak memory is that of a process of its own each. Part of `python -m tests.benchmarks.privacy`.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from privacy.differential import noise
from sites.models.encoder import Encoder, Role, encoder_for
from sites.models.tabular import model_for
from sites.plans import ModelPlan, PrivacyPlan, TextModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel
from sites.training import privacy_units as persons
from sites.training.loop import LossFormulas, Records, train
from sites.training.recorded_passes import Losses
from sites.training.table_losses import TableLosses
from tests.benchmarks.figures import options

BATCH, LENGTH, N = 32, 64, 4_000
TARGETS = {"logistic": 1.5, "mlp": 1.8, "lora": 1.0, "head": 1.5, "full": 1.3}
PEAK_TARGET = 1.3  # of the whole process, all of MiniLM trained


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The cost of one step.

    Args:
        what: Of which model.
        batch: Records in a step, on average with privacy.
        plain_s: CPU seconds without privacy.
        private_s: With it, but for draws and noise.
        whole_s: With draws and noise.
        ratio: Private over plain.
        whole_ratio: The same with draws and noise.
        target: What we mean to stay below.
    """

    what: str
    batch: int
    plain_s: float
    private_s: float
    whole_s: float
    ratio: float
    whole_ratio: float
    target: float


@dataclass(frozen=True)
class Trained:
    """A model, its losses, and the formulas of their gradients where there are some."""

    model: nn.Module
    losses: Losses
    formulas: LossFormulas | None = None


def measured(what: str, trained: Trained, *, batch: int, steps: int) -> Steps:
    """Return what a step costs, plain and private, taken in turn."""
    known = Records(np.zeros(N, np.int64), np.arange(N).astype(str))
    private = PrivacyPlan(
        noise_multiplier=1.0, clip_norm=1.0, sampling_rate=batch / N, steps=steps, rows_at_once=N
    )
    epochs = max(1, steps * batch // N)
    in_the_clear = TrainingPlan(batch_size=batch, local_epochs=epochs)
    plain, hidden, whole = [], [], []
    quiet = np.zeros(2**20)
    rows = np.arange(batch)
    for _ in range(3):
        plain.append(_step(trained, known, in_the_clear))
        with (
            mock.patch.object(noise, "grid_gaussian", lambda n, **_: quiet[:n]),
            mock.patch.object(persons, "poisson_samples", lambda *_, times, **__: [rows] * times),
        ):
            hidden.append(_step(trained, known, TrainingPlan(privacy=private)))
        whole.append(_step(trained, known, TrainingPlan(privacy=private)))
    return Steps(
        what=what,
        batch=batch,
        plain_s=min(plain),
        private_s=min(hidden),
        whole_s=min(whole),
        ratio=min(hidden) / min(plain),
        whole_ratio=min(whole) / min(plain),
        target=TARGETS[what],
    )


def tables(batch: int) -> list[Steps]:
    """Return the steps of the models for tables, 40 inputs."""
    inputs, wanted = torch.randn(N, 40), (torch.rand(N) > 0.5).float()
    label = ClassLabel(column="default", classes=("no", "yes"))
    found = []
    for name in ("logistic", "mlp"):
        plan = ModelPlan(name="logistic" if name == "logistic" else "mlp")
        model = model_for(plan, n_inputs=40, n_outputs=1)
        with torch.no_grad():
            for item in model.parameters():
                item.copy_(torch.randn(item.shape) * 0.1)

        losses = TableLosses(model=model, label=label, inputs=inputs, wanted=wanted, weights=None)
        trained = Trained(model, losses, losses)
        found.append(measured(name, trained, batch=batch, steps=200))
    return found


def texts(travels: str) -> Steps:
    """Return the step of MiniLM at batch 32, length 64."""
    with _reading(travels) as trained:
        return _few(travels, trained)


@contextmanager
def _reading(travels: str) -> Iterator[Trained]:
    plan = TextModelPlan(travels=travels, max_tokens=LENGTH)  # type: ignore[arg-type]
    encoder: Encoder = encoder_for(Role(plan=plan, reads="texts", n_outputs=10, seed=7))
    rng = np.random.default_rng(1)
    windows = [rng.integers(1_000, 20_000, LENGTH) for _ in range(BATCH)]
    features = encoder.features(windows)
    wanted = torch.from_numpy(rng.integers(0, 10, BATCH))
    with encoder.hold_parameters(np.zeros(encoder.layout.dim)) as model:

        def losses(rows: Tensor) -> Tensor:
            chosen_windows = [windows[row] for row in rows.tolist()]
            known = None if features is None else features[rows]
            scores = encoder.scores(chosen_windows, known, exact=True)
            return functional.cross_entropy(scores, wanted[rows], reduction="none")

        yield Trained(model, losses)


def peak_mb(kind: str) -> float:
    """Return the peak memory of a process that trains all of MiniLM, `plain` or `private`."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.private_steps", "--peak", kind],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(ended.stdout)


def _peak_here(kind: str) -> float:
    private = PrivacyPlan(
        noise_multiplier=1.0, clip_norm=1.0, sampling_rate=1.0, steps=2, rows_at_once=BATCH
    )
    plans = {
        "plain": TrainingPlan(batch_size=BATCH, local_epochs=2),
        "private": TrainingPlan(privacy=private),
    }
    known = Records(np.zeros(BATCH, np.int64), np.arange(BATCH).astype(str))
    with _reading("full") as trained:
        _step(trained, known, plans[kind])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kibibytes on Linux


def _few(what: str, trained: Trained) -> Steps:
    """Return what a step of a batch costs: too dear for whole passes, but for a head."""
    with mock.patch(f"{__name__}.N", BATCH):
        return measured(what, trained, batch=BATCH, steps=100 if what == "head" else 3)


def _step(trained: Trained, known: Records, plan: TrainingPlan) -> float:
    began = time.process_time()
    steps = train(
        trained.model,
        trained.losses,
        known,
        plan,
        rng=np.random.default_rng(0),
        formulas=trained.formulas,
    )
    return (time.process_time() - began) / steps


def figures() -> tuple[dict[str, object], list[dict[str, object]]]:
    """Return the figures by name, and the targets that were missed."""
    torch.set_num_threads(1)
    found = [*tables(128), *tables(512), *(texts(one) for one in ("head", "lora", "full"))]
    peaks = {kind: peak_mb(kind) for kind in ("plain", "private")}
    ratio = peaks["private"] / peaks["plain"]
    told = {f"{one.what} at batch {one.batch}": asdict(one) for one in found}
    told["peak memory, full"] = {
        **{f"{kind}_mb": peak for kind, peak in peaks.items()},
        "ratio": ratio,
        "target": PEAK_TARGET,
    }
    missed: list[dict[str, object]] = [
        {"what": f"{what} step", "target": one["target"], "figure": one["ratio"]}
        for what, one in told.items()
        if one["ratio"] > one["target"]
    ]
    return dict(told), missed


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--peak", choices=("plain", "private"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak is not None:
        torch.set_num_threads(1)
        print(_peak_here(asked.peak))
        return
    steps, missed = figures()
    print(json.dumps({"benchmark": "private_steps", "steps": steps, "missed": missed}, indent=1))


if __name__ == "__main__":
    main()
