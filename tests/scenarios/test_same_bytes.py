"""Sites compare encrypted states byte for byte: every machine computes the same bytes."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from privacy.protocol.envelope import SealedState
from tests.small_consortium import Consortium, Course, Moment, read_reply

ROOT = Path(__file__).parents[2]
ROUND = 3
STANDING = """
import json, sys
from pathlib import Path
from privacy.wire.encrypted_messages import SealedRound
from tests.small_consortium import Place, configured
folder, parts = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
parts = {name: bytes.fromhex(one[1:]) if isinstance(one, str) and one[:1] == "x" else one
         for name, one in parts.items()}
request = SealedRound(**parts)
sealed = Place(folder, configured({})).session(request).standing(request).sealed
sys.stdout.write(sealed.digest.hex())
"""


@pytest.fixture(scope="module")
def moments(honest: tuple[Consortium, Course]) -> dict[str, Moment]:
    """The moments of two sites before round 3 of an honest run."""
    _, course = honest
    return {name: course.moments[name, "train", ROUND] for name in ("east", "west")}


def digest_in_fresh_process(moment: Moment, folder: Path, **environment: str) -> str:
    """Return the digest of the state that a fresh process computes in an environment."""
    place, request = moment.again(folder / "site"), moment.request
    given = {one.name: getattr(request, one.name) for one in fields(request)}
    told = {name: f"x{one.hex()}" if isinstance(one, bytes) else one for name, one in given.items()}
    (folder / "request.json").write_text(json.dumps(told))
    done = subprocess.run(
        [sys.executable, "-c", STANDING, str(place.directory), str(folder / "request.json")],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "7"}, id="many threads"),
        pytest.param(
            {
                "OMP_NUM_THREADS": "1",
                "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3",
                "OPENBLAS_CORETYPE": "Prescott",
            },
            id="one thread, an old CPU",
        ),
    ],
)
def test_a_sealed_state_is_the_same_bytes_on_every_machine(
    moments: dict[str, Moment], environment: dict[str, str], tmp_path: Path
) -> None:
    """It is computed from the sums at another site than the one that reported them."""
    reported = SealedState.decode(read_reply(moments["east"].answer).state).digest.hex()
    assert digest_in_fresh_process(moments["west"], tmp_path, **environment) == reported
