"""What an encoder costs: a step, an upload, a run on the simulation engine, and padding.

`python -m tests.benchmarks.text [--json]` from the root of the repository. Real weights (MiniLM)
and real phrases of ICD-10-CM. Steps alternate between the site's loop and a bare PyTorch loop
over the same batches; ratios are medians of pairs. The simulation runs four sites of 2,000
training phrases for five rounds. Who used the processors is read from the operating system twice
a second: the sites' processes (training, evaluation and what Flower does there), Ray's own, and
the rest, which is Flower's link and the coordinator. What is not rounds is start and end of both.
"""

import hashlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from torch.nn import functional

from privacy.encryption.parameters import PARAMETER_SETS, Placement
from scenarios.data.icd10_phrases import CHAPTERS, all_phrases
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.scenario import MACRO_F1, Scenario
from sites.models.encoder import padded_windows
from sites.plans import TextModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.classification_data import Notes, NotesData
from sites.training.loop import Records, batches_by_size, train
from tests.benchmarks.figures import options

STEP_TARGET = 1.05
UPLOAD_TARGET = 1_300_000
RUN_TARGET_S = 360.0
MEMORY_TARGET_GB = 6.0
BUCKET_TARGET = 1.5
SITES = tuple(f"hospital-{number}" for number in range(1, 5))
A_SITE = 2_500  # of which 2,000 train
REPEATS = 3
BATCH = 32
SCHEMA = NotesSchema(
    name="phrases",
    person="category",
    label=ClassLabel(column="chapter", classes=tuple(CHAPTERS.values())),
)
PLAN = TrainingPlan(batch_size=BATCH, learning_rate=1e-3, optimizer="adam")
TASK = NotesTask("clinical-notes", SCHEMA, TextModelPlan(), 7)


@cache
def phrases() -> pd.DataFrame:
    """Return distinct phrases of ten chapters, as many as four sites need, drawn by digest."""
    every = all_phrases().drop_duplicates("text")
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in every["text"]]
    drawn = every.assign(digest=digests).sort_values("digest").head(len(SITES) * A_SITE)
    return drawn.drop(columns="digest").reset_index(drop=True)


def notes(n: int) -> Notes:
    """Return so many phrases as a site holds them."""
    chosen = phrases().head(n)
    codes = {name: code for code, name in enumerate(CHAPTERS.values())}
    return Notes(
        texts=chosen["text"].to_numpy(dtype=object),
        labels=np.array([codes[chapter] for chapter in chosen["chapter"]], np.int64),
        persons=chosen["category"].to_numpy(dtype=str),
    )


def data(n: int) -> NotesData:
    """Return a site with so many training phrases."""
    held = notes(n)
    return NotesData(training=held, held_out=held.select(np.arange(1)), n_labels=len(CHAPTERS))


def timed(body: Callable[[], object]) -> float:
    """Return the processor seconds a body takes, on its one thread: others may run beside it."""
    began = time.process_time()
    body()
    return time.process_time() - began


def step_ratio(n: int = 512) -> dict[str, float]:
    """Return seconds of a step at a site and in a bare loop over the same batches."""
    site, encoder = data(n), TASK.encoder
    pooled, zero = TASK.statistics_of(site), np.zeros(TASK.layout.dim)
    read = site.training.encoder_inputs(encoder)
    batches = batches_by_size(
        np.random.default_rng(1).permutation(n), read.pieces.longest, PLAN.batch_size
    )
    wanted = torch.from_numpy(site.training.labels)
    prepared = []
    for rows in batches:
        ids, mask = padded_windows([read.pieces.windows[int(row)] for row in rows], 0)
        prepared.append((ids, mask, wanted[torch.from_numpy(rows)]))

    def ours() -> None:
        TASK.train(site, pooled, zero, PLAN, rng=np.random.default_rng(1))

    def bare() -> None:
        with encoder.hold_parameters(zero) as model:
            free = [item for item in model.parameters() if item.requires_grad]
            optimizer = torch.optim.Adam(free, lr=PLAN.learning_rate)
            for ids, mask, labels in prepared:
                loss = functional.cross_entropy(
                    model(input_ids=ids, attention_mask=mask).logits, labels
                )
                loss.item()
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()

    ours()
    bare()
    pairs = [(timed(ours), timed(bare)) for _ in range(REPEATS)]
    return {
        "site_ms": round(1e3 * statistics.median(one for one, _ in pairs) / len(prepared), 2),
        "bare_ms": round(1e3 * statistics.median(two for _, two in pairs) / len(prepared), 2),
        "ratio": round(statistics.median(one / two for one, two in pairs), 3),
    }


def bucket_ratio(n: int = 512) -> dict[str, float]:
    """Return how much faster a pass is in batches of similar length than padded to the longest."""
    site, encoder = data(n), TASK.encoder
    read = site.training.encoder_inputs(encoder)
    longest = int(read.pieces.longest.max())
    wanted = torch.from_numpy(site.training.labels)
    records = Records(site.training.labels, site.training.persons, sizes=read.pieces.longest)
    unsorted = Records(site.training.labels, site.training.persons)
    zero = np.zeros(TASK.layout.dim)

    def passed(records: Records, fill_to: int) -> None:
        with encoder.hold_parameters(zero) as model:

            def losses(rows: torch.Tensor) -> torch.Tensor:
                windows = [read.pieces.windows[int(row)] for row in rows]
                ids, mask = padded_windows(windows, 0)
                short = max(fill_to - ids.shape[1], 0)
                ids, mask = (functional.pad(item, (0, short)) for item in (ids, mask))
                scores = model(input_ids=ids, attention_mask=mask).logits
                return functional.cross_entropy(scores, wanted[rows], reduction="none")

            train(model, losses, records, PLAN, rng=np.random.default_rng(1))

    pairs = [
        (timed(lambda: passed(unsorted, longest)), timed(lambda: passed(records, 0)))
        for _ in range(3)
    ]
    return {
        "longest_tokens": longest,
        "mean_tokens": round(float(read.pieces.longest.mean()), 1),
        "padded_s": round(statistics.median(one for one, _ in pairs), 2),
        "bucketed_s": round(statistics.median(two for _, two in pairs), 2),
        "ratio": round(statistics.median(one / two for one, two in pairs), 2),
    }


def uploads() -> dict[str, dict[str, int]]:
    """Return the bytes of an update by what travels, in the clear and encrypted (default set)."""
    found = {}
    for travels in ("lora", "head", "top-k", "full"):
        role = NotesTask("clinical-notes", SCHEMA, TextModelPlan(travels=travels), 7)
        dim = role.layout.dim
        placement = Placement(parameters=PARAMETER_SETS["default"](16), dim=dim)
        found[travels] = {"parameters": dim, "clear": 4 * dim, "encrypted": placement.upload_bytes}
    return found


@dataclass
class Watched:
    """What this process and its children used.

    Args:
        peak_bytes: The most memory they held together, a page shared by several counted once.
        seconds: Processor time of each process by its number, and whose process it is.
    """

    peak_bytes: int = 0
    seconds: dict[int, tuple[str, float]] = field(default_factory=dict)

    def look(self) -> None:
        """Take one sample."""
        held = 0
        here = psutil.Process()
        for process in (here, *here.children(recursive=True)):
            try:
                held += process.memory_full_info().pss
                used = process.cpu_times()
                said = " ".join([process.name(), *process.cmdline()])
            except psutil.Error:  # it has just ended
                continue
            self.seconds[process.pid] = (whose(said), used.user + used.system)
        self.peak_bytes = max(self.peak_bytes, held)

    def of(self, owner: str) -> float:
        """Return the processor seconds of all processes of one owner."""
        return sum(used for who, used in self.seconds.values() if who == owner)


def whose(said: str) -> str:
    """Return to whom a process of a simulation belongs, by its name and command line."""
    if "ray::ClientApp" in said:
        return "sites"
    if any(mark in said for mark in ("ray::", "/ray/", "raylet", "gcs_server")):
        return "ray"
    return "flower"


@contextmanager
def watched() -> Iterator[Watched]:
    """Sample this process and its children twice a second until the body ends."""
    found, done = Watched(), threading.Event()
    before = psutil.Process().cpu_times()

    def watch() -> None:
        while not done.wait(0.5):
            found.look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
        who, used = found.seconds[psutil.Process().pid]
        found.seconds[psutil.Process().pid] = (who, used - before.user - before.system)


def simulated(folder: Path) -> dict[str, float]:
    """Return what a run on the simulation engine takes, in seconds and bytes."""
    owner = pd.Series([SITES[row % len(SITES)] for row in range(len(phrases()))])
    scenario = Scenario(
        name="bench-phrases",
        title="Four hospitals",
        story="Phrases of ICD-10-CM dealt in turn.",
        task="clinical-notes",
        table=SCHEMA,
        sites=SITES,
        records=phrases,
        site_of_row=lambda _frame: owner,
        run_config={
            "num-server-rounds": 5,
            "batch-size": BATCH,
            "learning-rate": 1e-3,
            "local-optimizer": "adam",
        },
        headline=MACRO_F1,
    )
    run = new_run_directory(scenario, under=folder, named=None)
    order = ScenarioRun(scenario=scenario, config=scenario.config_with({}), engine="simulation")
    began = time.monotonic()
    with watched() as used:
        summary = run_scenario(order, run)
    total = time.monotonic() - began
    site = data(2_000)
    pooled, zero = TASK.statistics_of(site), np.zeros(TASK.layout.dim)
    a_round = timed(lambda: TASK.train(site, pooled, zero, PLAN, rng=np.random.default_rng(1)))
    return {
        "total_s": round(total, 1),
        "rounds_s": round(summary.seconds, 1),
        "start_and_end_of_flower_and_ray_s": round(total - summary.seconds, 1),
        "cpu_s_of_the_sites_processes": round(used.of("sites"), 1),
        "cpu_s_of_their_training_as_timed_alone": round(a_round * 5 * len(SITES), 1),
        "cpu_s_of_flower_and_the_coordinator": round(used.of("flower"), 1),
        "cpu_s_of_ray": round(used.of("ray"), 1),
        "peak_memory_gb": round(used.peak_bytes / 1e9, 2),
        "accuracy": round(summary.metrics["accuracy"].value, 3),
        "macro_f1": round(summary.metrics["macro_f1"].value, 3),
        "bytes_up": summary.bytes_up,
        "bytes_down": summary.bytes_down,
    }


def missed(figures: dict[str, dict[str, float]], sent: dict[str, dict[str, int]]) -> list[object]:
    """Return the targets that were not met."""
    run = figures["simulation"]
    targets: list[tuple[str, float, float, bool]] = [
        ("step.ratio", figures["step"]["ratio"], STEP_TARGET, True),
        ("upload.lora.clear", sent["lora"]["clear"], UPLOAD_TARGET, True),
        ("upload.lora.encrypted", sent["lora"]["encrypted"], UPLOAD_TARGET, True),
        ("simulation.total_s", run["total_s"], RUN_TARGET_S, True),
        ("simulation.peak_memory_gb", run["peak_memory_gb"], MEMORY_TARGET_GB, True),
        ("buckets.ratio", figures["buckets"]["ratio"], BUCKET_TARGET, False),
    ]
    return [
        {"what": what, "figure": figure, "target": target}
        for what, figure, target, at_most in targets
        if (figure > target if at_most else figure < target)
    ]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="b", dir="/tmp") as folder:
        figures = {
            "step": step_ratio(),
            "buckets": bucket_ratio(),
            "simulation": simulated(Path(folder)),
        }
    sent = uploads()
    report = {
        "benchmark": "text",
        "baseline": "a bare PyTorch loop over the same batches; padding to the longest phrase",
        "model": "MiniLM, LoRA of rank 8",
        "figures": {**figures, "upload": sent},
        "missed": missed(figures, sent),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(report, indent=None if chosen.json else 1))


if __name__ == "__main__":
    main()
