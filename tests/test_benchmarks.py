"""What a benchmark measures is what happens in a run: its made-up replies are taken."""

from pathlib import Path

import numpy as np
import pytest

from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.sealer import BfvSecret, Sealer
from tests.benchmarks import sealed_run, sizes, tls_groups
from tests.benchmarks.against import programs
from tests.benchmarks.against.trees import ROOT
from tests.benchmarks.against.workloads import missed_targets


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
    assert sealed_run.held_bytes(4, tmp_path / "upload", sealed_run.update_placement()) >= 0


@pytest.mark.parametrize("name", programs.PLACES)
def test_what_is_compared_with_an_earlier_revision_is_found_in_this_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert callable(programs.named(name))


def test_a_target_is_missed_by_the_median_of_pairs_and_not_by_the_worst() -> None:
    half, quarter = ({"demo_s": 2.0}, {"demo_s": 1.2}), ({"demo_s": 2.0}, {"demo_s": 0.5})
    assert missed_targets([half, quarter, quarter]) == []
    (missed,) = missed_targets([half, half, quarter])
    assert missed == {"what": "demo_s over demo_s then", "figure": 0.6, "target": 0.5}


def test_the_clock_of_an_encrypted_run_is_compared_with_that_of_a_clear_one_then() -> None:
    then = {"wall_clear_s": 2.0, "wall_encrypted_s": 3.0}
    (missed,) = missed_targets([(then, {"wall_clear_s": 1.0, "wall_encrypted_s": 2.4})])
    assert missed["figure"] == 1.2


def test_the_key_exchange_that_is_measured_is_one_that_the_site_offered() -> None:
    """Read from what passed between the real server of the gateway and the site's library."""
    measured = tls_groups.measured_groups()
    assert measured["agreed"] in measured["offered"]
    assert measured["is_post_quantum"] == (measured["agreed"] == tls_groups.HYBRID)


def test_what_a_part_needs_is_all_that_it_needs_and_no_more() -> None:
    heavy = {"torch", "opacus", "transformers", "ray", "duckdb", "onnx", "tensorboard"}
    assert {"consortium-fl", "pip", "flwr", "grpcio"} <= sizes.needed("")
    assert sizes.needed("") & heavy == set()
    assert sizes.needed("train") & heavy == {"torch", "opacus"}
    assert sizes.needed("text") & heavy == {"torch", "opacus", "transformers"}
    assert sizes.needed("all") & heavy == heavy


def test_the_size_of_a_package_is_that_of_its_files_with_what_python_compiled() -> None:
    blocks = sizes.blocks_of("typer")
    sources = {path.name for path in blocks if path.parent.name == "typer"}
    assert {"main.py", "core.py", "py.typed"} <= sources
    assert all(blocks[path] == path.stat().st_blocks for path in blocks)
    assert any(path.is_dir() for path in blocks)


def test_a_part_that_is_larger_than_its_share_is_missed() -> None:
    fits = {"core": 882, "train": 1_764}
    assert sizes.missed_targets(fits) == []
    (missed,) = sizes.missed_targets({**fits, "core": 883})
    assert (missed["what"], missed["target"]) == ("core", 0.4)
    (missed,) = sizes.missed_targets({**fits, "train": 1_765})
    assert (missed["what"], missed["target"]) == ("train", 0.8)
