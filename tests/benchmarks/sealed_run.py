"""What encryption costs a whole run and a round, and what the coordinator holds while it adds.

`python -m tests.benchmarks.sealed_run [--json]` from the root of the repository. Runs of
`bank-credit` in the clear, encrypted, and encrypted with masks alternate in one process; medians
are compared, those of masks also in CPU, user and system. A round is
that of `tests.benchmarks.encrypted_rounds`. Memory is that of a fresh process that takes a round of
replies through the strategy's own question, beyond what it held before the first one.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from flwr.app import Message, RecordDict

from consortium.config import Scalar
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import NO_STATE, TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.upload import UploadHeader, upload_digest
from privacy.secrets.keys import Identity
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.sealer import BfvSecret, Sealer
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums, UploadForm
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from tests.benchmarks.encrypted_rounds import round_over_parts
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.peak import keep_peak

REPEATS = 3
DIM = 4_000_000
WALL_TARGET = 1.3
MASKED_TARGET = 1.15
ROUND_TARGET = 1.3
MEMORY_TARGET = 10.0
SLOT = Slot(run="bench", purpose=TRAINING, server_round=1, attempt=1)


def spent_on(chosen: Mapping[str, Scalar], folder: Path) -> tuple[float, float]:
    """Return the wall time of one bank-credit run in process, and its CPU time."""
    scenario = scenario_named("bank-credit")
    run = new_run_directory(scenario, under=folder, named=None)
    began = time.process_time()
    summary = run_scenario(ScenarioRun(scenario=scenario, config=scenario.config_with(chosen)), run)
    return summary.seconds, time.process_time() - began


def run_ratios() -> dict[str, float]:
    """Return the median wall time in the clear, and how many times it takes the other ways."""
    ways: tuple[dict[str, Scalar], ...] = (
        {"aggregation": "clear"},
        {"aggregation": "encrypted", "masks": False},
        {"aggregation": "encrypted", "masks": True},
    )
    with tempfile.TemporaryDirectory() as folder:
        spent_on(ways[0], Path(folder))
        turns = [[spent_on(way, Path(folder)) for way in ways] for _ in range(REPEATS)]
    return {
        "clear_s": statistics.median(clear[0] for clear, _, _ in turns),
        "encrypted": statistics.median(sealed[0] / clear[0] for clear, sealed, _ in turns),
        "masked": statistics.median(masked[0] / sealed[0] for _, sealed, masked in turns),
        "masked_cpu": statistics.median(masked[1] / sealed[1] for _, sealed, masked in turns),
    }


def header(label: UploadLabel, placement: Placement) -> UploadHeader:
    """Return what stands before the ciphertexts of the benchmark's uploads."""
    return UploadHeader(
        label=label,
        parameter_set="default",
        layout=bytes(32),
        blocks=placement.num_ciphertexts,
    )


def reply_of(identity: Identity, placement: Placement, upload: bytes) -> RecordDict:
    """Return the reply of a site: the same ciphertexts for all, a receipt of its own."""
    label = UploadLabel(
        slot=SLOT, site=identity.name, bucket=0, weight_class=8, nonce=bytes(32), state=NO_STATE
    )
    digest = upload_digest(header(label, placement), [upload])
    receipt = Receipt.sign(label, upload=digest, sign=identity.sign)
    return SealedReply(upload=upload, receipt=receipt.encode()).content()


def identities(num_sites: int) -> dict[str, Identity]:
    """Return identities of so many sites, always the same ones."""
    return {
        f"site-{index:02}": Identity(
            f"site-{index:02}",
            signing=index.to_bytes(32, "big"),
            receiving=(index + 1000).to_bytes(32, "big"),
        )
        for index in range(1, num_sites + 1)
    }


def update_placement() -> Placement:
    """Return where the updates of the benchmark stand in their ciphertexts."""
    return Placement(parameters=PARAMETER_SETS["default"](64), dim=DIM)


def held_bytes(num_sites: int, upload_path: Path, placement: Placement) -> int:
    """Return the peak memory of taking a round, beyond what the process held before.

    Args:
        num_sites: How many send the same upload.
        upload_path: It.
        placement: Where its numbers stand in the ciphertexts.
    """
    InProcessGrid({}, 0, {})  # a message needs Flower's process identity
    roster: dict[str, PublicIdentity] = {
        name: identity.public for name, identity in identities(num_sites).items()
    }
    with tempfile.TemporaryDirectory() as folder:

        def keep(name: str, parts: object) -> None:
            path = Path(folder) / name.replace("/", "-")
            with path.open("wb") as file:
                for part in parts:  # type: ignore[attr-defined]
                    file.write(part)

        form = UploadForm(
            name="updates",
            placement=placement,
            buckets=1,
            weight_classes=(8,),
            header=lambda label: header(label, placement),
        )
        nodes = {name: index for index, name in enumerate(roster, start=100)}
        question = SealedRequest(
            request=SealedRound(charter="", server_round=1, attempt=1, opening=b""),
            nodes=nodes,
            sums={TRAINING: CiphertextSums(form=form, slot=SLOT, roster=roster, keep=keep)},
            read=lambda content: SealedReply.read(
                content,
                upload_bytes=placement.upload_bytes,
                count_bytes=0,
                tally_size=1,
            ),
            observe=lambda _event: None,
        )
        members = identities(num_sites)

        def arriving() -> Iterator[Message]:
            for name, node in nodes.items():
                asked = Message(RecordDict(), node, "train")
                content = [reply_of(members[name], placement, upload_path.read_bytes())]
                yield Message(content.pop(), reply_to=asked)

        with keep_peak() as peak:
            question.gather(arriving())
        if len(question.replies) != num_sites:
            raise SystemExit(f"{len(question.replies)} of {num_sites} replies were taken")
    return peak[0]


def coordinator_bytes_per_param() -> dict[str, float]:
    """Return the coordinator's bytes a parameter while it takes a round of 4 and of 64 sites."""
    placement = update_placement()
    secret = BfvSecret.generate(placement.parameters)
    degree = placement.parameters.degree
    checksum = Checksum(bytes(32), b"", num_rows=placement.num_ciphertexts, row_length=degree)
    levels = np.random.default_rng(7).integers(-1000, 1000, DIM).astype(np.int32)
    upload = Sealer(secret, placement, checksum).seal(
        levels, np.zeros(0, np.int64), pad=upload_pad(bytes(32), b"")
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_bytes(upload)
        figures = {}
        for num_sites in (4, 64):
            command = [sys.executable, "-m", "tests.benchmarks.sealed_run"]
            told = subprocess.run(
                [*command, "--held", str(num_sites), str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            figures[str(num_sites)] = int(told.stdout) / DIM
    return figures


def report() -> dict[str, object]:
    """Return all figures, and the targets that were missed."""
    began = time.monotonic()
    ratios = run_ratios()
    held = coordinator_bytes_per_param()
    of_round = round_over_parts()
    figures = {
        "encrypted_run_ratio": (ratios["encrypted"], WALL_TARGET),
        "masked_run_ratio": (ratios["masked"], MASKED_TARGET),
        "masked_run_cpu_ratio": (ratios["masked_cpu"], MASKED_TARGET),
        "encrypted_round_over_parts": (of_round.pop("ratio"), ROUND_TARGET),
        "coordinator_bytes_per_param_4_sites": (held["4"], MEMORY_TARGET),
        "coordinator_bytes_per_param_64_sites": (held["64"], MEMORY_TARGET),
    }
    return {
        "benchmark": "sealed_run",
        "baseline": f"bank-credit in the clear, {ratios['clear_s']:.2f} s; a fresh process",
        **{name: round(figure, 3) for name, (figure, _) in figures.items()},
        "round_ms": {name: round(taken, 2) for name, taken in of_round.items()},
        "missed": [
            {"what": name, "figure": round(figure, 3), "target": target}
            for name, (figure, target) in figures.items()
            if figure > target
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--held", nargs=2, metavar=("SITES", "UPLOAD"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.held:
        print(held_bytes(int(chosen.held[0]), Path(chosen.held[1]), update_placement()))
        return
    print_figures(report(), as_json=chosen.json)


if __name__ == "__main__":
    main()
