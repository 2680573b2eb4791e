"""The state that is used is one and the same at all sites, and nobody replaces it afterwards."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import RecordDict
from safetensors.numpy import load_file

from privacy.protocol.envelope import TRAINING, Receipt
from privacy.secrets.linear_mac import upload_pad
from tests.carrier import Carrier
from tests.small_consortium import (
    Consortium,
    Passing,
    altered,
    forget_processes,
    read_round,
    refusal,
)
from tests.tampering import added

WITHOUT_EAST = ("north", "south", "west")
WITHOUT_WEST = ("east", "north", "south")


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def model_file(consortium: Consortium, name: str) -> Path:
    return consortium.run.site(name) / "model" / "federated.safetensors"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_site_that_is_shown_another_last_sum_refuses(consortium: Consortium, rounds: int) -> None:
    """West alone is shown the sum without east's update; each sum is right for itself."""
    carrier = Carrier()

    def down(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("west", "evaluate"):
            return passing.content
        west = consortium.place("west", num_server_rounds=rounds)
        placement = west.session(read_round(passing.content)).terms.updates
        return carrier.showing(passing.content, WITHOUT_EAST, rounds, placement)

    course = consortium.start(down=down, up=carrier.up, num_server_rounds=rounds)
    asked = [*course.answers("evaluate"), *course.answers("query.release")]
    refused = any(refusal(answer) for passing, answer in asked if passing.site == "west")
    files = [model_file(consortium, name) for name in ("north", "west")]
    assert refused or len({digest(one) for one in files if one.exists()}) <= 1


def test_a_model_is_not_replaced_once_its_run_is_over(consortium: Consortium) -> None:
    carrier, rounds = Carrier(), 2
    consortium.start(down=carrier.down, up=carrier.up, num_server_rounds=rounds)
    before = digest(model_file(consortium, "north"))
    forget_processes()
    north, asked = consortium.place("north", num_server_rounds=rounds), carrier.asked
    placement = north.session(read_round(asked["north", "evaluate"])).terms.updates
    shown = carrier.showing(asked["north", "evaluate"], WITHOUT_WEST, rounds, placement)
    north.ask("evaluate", altered(shown, attempt=2))
    assert digest(model_file(consortium, "north")) == before


def test_no_update_of_one_site_follows_from_what_an_honest_site_holds(
    consortium: Consortium,
) -> None:
    """North's model of all four and, asked again, of three: west's update is 4 of one - 3."""
    carrier = Carrier()
    config: dict[str, Any] = {"num_server_rounds": 1, "weighting": "equal"}
    consortium.start(down=carrier.down, up=carrier.up, **config)
    path = model_file(consortium, "north")
    of_four = load_file(path)["federated-vector"].astype(float)
    north, asked = consortium.place("north", **config), carrier.asked
    session = north.session(read_round(asked["north", "evaluate"]))
    shown = carrier.showing(asked["north", "evaluate"], WITHOUT_WEST, 1, session.terms.updates)
    north.ask("evaluate", altered(shown, attempt=2))
    of_three = load_file(path)["federated-vector"].astype(float)
    sent = carrier.replies["west", 1]
    pads = [upload_pad(session.terms.opened.keys.pad, Receipt.decode(sent.receipt).label.encode())]
    sealer = session.terms.sealer(TRAINING, 1, session.terms.updates)
    levels = sealer.open(added(session.terms.updates, [sent.upload]), pads=pads).levels
    own = levels / session.terms.updates.parameters.levels
    assert np.abs(4 * of_four - 3 * of_three - own).max() > 1e-6
