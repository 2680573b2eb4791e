"""What a site holds that counts, beside one that trains; and a coordinator that adds up tallies.

Each figure is of a fresh process. A site is the largest bank of `bank-credit`: it reads records,
answers a round of a regression or of training, and judges the state. A coordinator takes the
tallies of a regression of 46 coefficients from so many sites.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.sealer import BfvSecret, Sealer
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from tests.benchmarks.sealed_run import held_bytes

SITE_TARGET = 0.4  # of a site that trains
COORDINATOR_TARGET = 0.1  # the power of the number of sites by which it grows; constant is 0
TALLY = 2_550
# Loads what a site loads, and nothing of this benchmark.
_SITE = """
import json, sys
from pathlib import Path
import numpy as np
from flwr.app import Context, RecordDict
from consortium.client_app import app
from consortium.site.site import site_of
from sites.plans import TrainingPlan

site = site_of(Context(1, 1, {"site-dir": sys.argv[1]}, RecordDict(), json.loads(sys.argv[2])))
task, data = site.task, site.data
task.prepare()
pooled, state = task.statistics_of(data), np.zeros(task.layout.dim)
task.train(data, pooled, state, TrainingPlan(), rng=np.random.default_rng(7))
task.evaluate(data, pooled, state)
status = Path("/proc/self/status").read_text().splitlines()
(high,) = [line.split()[1] for line in status if line.startswith("VmHWM")]
print(int(high) * 1024)
"""
NUM_SITES = (4, 64)


def tally_placement() -> Placement:
    """Return where the tally stands in its ciphertexts."""
    return Placement(parameters=PARAMETER_SETS["default"](64), dim=0, tally_size=TALLY)


def write_upload(path: Path) -> None:
    """Write a sealed tally."""
    placement = tally_placement()
    secret = BfvSecret.generate(placement.parameters)
    degree = placement.parameters.degree
    checksum = Checksum(bytes(32), b"", num_rows=placement.num_ciphertexts, row_length=degree)
    tally = np.random.default_rng(7).integers(-(2**40), 2**40, TALLY)
    sealer = Sealer(secret, placement, checksum)
    path.write_bytes(sealer.seal(np.zeros(0, np.int32), tally, pad=upload_pad(bytes(32), b"")))


def measured() -> dict[str, Any]:
    """Return the bytes and their ratios, and which targets were missed."""
    scenario = scenario_named("bank-credit")
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario)
        site, upload = str(run.site(scenario.sites[-1])), Path(folder) / "upload"
        write_upload(upload)
        configs = (scenario.config_with({"learner": one}).flat() for one in ("glm", "gradient"))
        counted, trained = (_told("-c", _SITE, site, json.dumps(one)) for one in configs)
        taking = ("-m", "tests.benchmarks.instrument.memory")
        held = [_told(*taking, str(one), str(upload)) for one in NUM_SITES]
    figures = {
        "site_ratio": (counted / trained, SITE_TARGET),
        "coordinator_power": (_power(held), COORDINATOR_TARGET),
    }
    return {
        "counting_site_mb": counted / 1e6,
        "training_site_mb": trained / 1e6,
        "coordinator_kb": dict(zip(NUM_SITES, (one / 1e3 for one in held), strict=True)),
        **{name: figure for name, (figure, _) in figures.items()},
        "missed": [
            {"what": name, "figure": figure, "target": target}
            for name, (figure, target) in figures.items()
            if figure > target
        ],
    }


def _power(held: Sequence[int]) -> float:
    few, many = NUM_SITES
    return math.log(held[1] / max(held[0], 1)) / math.log(many / few)


def _told(*arguments: str) -> int:
    """Return the number that a fresh process prints last."""
    command = [sys.executable, *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(told.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(held_bytes(int(sys.argv[1]), Path(sys.argv[2]), tally_placement()))
