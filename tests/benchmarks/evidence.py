"""What the gate and the audit log cost: a message, a megabyte, an entry written and checked.

Part of `python -m tests.benchmarks.privacy`. A message is a real one, put to the real mod with an
app behind it that answers at once; what the same message costs without the mod is taken off. Per
megabyte: the difference between a large model and a small one. Times are of the CPU, and of the
clock in brackets where a disk is waited for.
"""

import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Context, Message, RecordDict

from consortium.audit.journal import content_digest
from consortium.client.mods import gate_messages
from consortium.config import RunConfig
from consortium.protocol.evaluation_bins import bin_steps
from consortium.run.directory import RunDirectory
from consortium.site.site import site_of
from privacy.audit.hash_chain import Chain, LogEvent, verified_entries
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named

SMALL, LARGE = 1, 65_536  # hidden units: a kilobyte and megabytes of model
REPEATS = 30
BATCHES, BATCH = 500, 20
MESSAGES = 2_000  # with a batch of four entries each, signed at its end


@dataclass(frozen=True)
class Cost:
    """What one message costs.

    Args:
        clock_ms: By the clock, the disk included.
        cpu_ms: Of the CPU.
        megabytes: Of arrays, both ways.
    """

    clock_ms: float
    cpu_ms: float
    megabytes: float


def message_cost(hidden_units: int) -> Cost:
    """Return what the outermost mod adds to a round of training, apart from the training."""
    scenario = scenario_named("heart-diagnosis")
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        stage(run, scenario)
        InProcessGrid({}, 0, {})  # lets this process make messages
        config = RunConfig.parse(
            {**scenario.config_with({}).flat(), "model": "mlp", "hidden-units": hidden_units}
        )
        node: dict[str, str | int | float | bool] = {"site-dir": str(run.site("hungary"))}
        context = Context(1, 1, dict(node), RecordDict(), dict(config.flat()))
        question, answer = _round(context)
        size = (wire.num_bytes(question) + wire.num_bytes(answer)) / 1e6

        def app(message: Message, _context: Context) -> Message:
            return Message(answer, reply_to=message)

        def through(mod: Callable[..., Message]) -> tuple[float, float]:
            message = Message(question, 1, messages.TRAIN)
            clock, cpu = time.perf_counter(), time.process_time()
            mod(message, context, app)
            return time.perf_counter() - clock, time.process_time() - cpu

        through(gate_messages)
        with_mod = [through(gate_messages) for _ in range(REPEATS)]
        bare = [
            through(lambda message, context, app: app(message, context)) for _ in range(REPEATS)
        ]
    clock, cpu = (
        1000 * (statistics.median(a) - statistics.median(b))
        for a, b in zip(zip(*with_mod, strict=True), zip(*bare, strict=True), strict=True)
    )
    return Cost(clock, cpu, size)


def _round(context: Context) -> tuple[RecordDict, RecordDict]:
    """Return a round's question and an answer to it, of the run's sizes."""
    site = site_of(context)
    task = site.task
    tally = np.zeros(task.evaluation.layout.size, np.int64)
    vector = np.zeros(task.layout.dim, np.float32)
    stands = messages.Position(
        run="bench",
        charter=site.charter.fingerprint,
        server_round=1,
        state=vector,
        statistics=np.zeros(task.statistics.layout.size, np.int64),
        score_bins=bin_steps(site.run_config, site.charter).first,
    )
    sent = messages.Contribution(
        update=vector, num_examples=site.data.train_examples, tally=tally, released=False
    )
    return messages.position(stands), messages.contribution(sent)


def appended_per_s() -> float:
    """Return entries written in a second, in batches with one fsync and one signature each."""
    key = Ed25519PrivateKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        chain = _chain(Path(folder), key)
        events = [_event(number) for number in range(BATCH)]
        began = time.perf_counter()
        for _ in range(BATCHES):
            chain.append(events)
        seconds = time.perf_counter() - began
        chain.close()
    return BATCHES * BATCH / seconds


def verified_per_s(batch: int) -> float:
    """Return entries checked in a second of CPU: every hash, and a signature a batch."""
    key = Ed25519PrivateKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        chain = _chain(Path(folder), key)
        for _ in range(MESSAGES * 4 // batch):
            head = chain.append([_event(number) for number in range(batch)])
        chain.close()
        began = time.process_time()
        list(verified_entries(Path(folder) / "audit" / "log.jsonl", {"site": chain.key}))
        return head.entries / (time.process_time() - began)


def _chain(folder: Path, key: Ed25519PrivateKey) -> Chain:
    public = key.public_key().public_bytes_raw()
    return Chain(folder / "audit" / "log.jsonl", owner="site", key=public, sign=key.sign)


def _event(number: int) -> LogEvent:
    return LogEvent(
        "sent", {"run": "1", "kind": "train", "bytes": number, "digest": f"{number:064x}"}
    )


def sealed_ms_per_mb() -> float:
    """Return what naming a sealed upload costs a megabyte: its receipt holds its digest already."""
    upload = bytes(2**23)
    content = SealedReply(upload=upload, receipt=bytes(300)).content()
    began = time.process_time()
    for _ in range(REPEATS):
        content_digest(messages.TRAIN, content)
    return 1000 * (time.process_time() - began) / REPEATS / (len(upload) / 1e6)


def sha256_ms_per_mb() -> float:
    """Return what SHA-256 costs here: nothing that reads every byte by it can be cheaper."""
    data = bytes(2**25)
    began = time.process_time()
    hashlib.sha256(data).digest()
    return 1000 * (time.process_time() - began) / (len(data) / 1e6)


def figures() -> tuple[dict[str, float], list[dict[str, object]]]:
    """Return the figures by name, and the targets that were missed."""
    small, large = message_cost(SMALL), message_cost(LARGE)
    per_mb = (large.cpu_ms - small.cpu_ms) / (large.megabytes - small.megabytes)
    found = {
        "gate_and_audit_ms": small.clock_ms,
        "gate_and_audit_cpu_ms": small.cpu_ms,
        "gate_and_audit_ms_per_mb": per_mb,
        "audit_ms_per_mb_of_a_sealed_upload": sealed_ms_per_mb(),
        "sha256_ms_per_mb": sha256_ms_per_mb(),
        "audit_append_per_s": appended_per_s(),
        "audit_verify_per_s": verified_per_s(batch=64),
        "audit_verify_per_s_signed_every_4": verified_per_s(batch=4),
    }
    missed: list[dict[str, object]] = [
        {"what": what, "figure": found[what], "target": target}
        for what, target in (("gate_and_audit_ms", 3.0), ("gate_and_audit_ms_per_mb", 0.1))
        if found[what] > target
    ]
    missed += [
        {"what": what, "figure": found[what], "target": target}
        for what, target in (("audit_append_per_s", 2_000.0), ("audit_verify_per_s", 20_000.0))
        if found[what] < target
    ]
    return found, missed
