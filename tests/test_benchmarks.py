"""What a benchmark measures is what happens in a run: its made-up replies are taken."""

from pathlib import Path

import numpy as np
import pytest

from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.sealer import BfvSecret, Sealer
from tests.benchmarks import sealed_run


def test_the_coordinator_takes_every_reply_that_it_is_measured_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dim = 20_000
    monkeypatch.setattr(sealed_run, "DIM", dim)
    placement = Placement(parameters=PARAMETER_SETS["default"](64), dim=dim)
    checksum = Checksum(
        bytes(32), b"", num_rows=placement.num_ciphertexts, row_length=placement.parameters.degree
    )
    sealer = Sealer(BfvSecret.generate(placement.parameters), placement, checksum)
    upload = sealer.seal(
        np.ones(dim, np.int32), np.zeros(0, np.int64), pad=upload_pad(bytes(32), b"")
    )
    (tmp_path / "upload").write_bytes(upload)
    assert sealed_run.held_bytes(4, tmp_path / "upload") >= 0
