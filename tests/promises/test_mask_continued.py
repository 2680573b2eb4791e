"""A masked run goes on without a site that is gone: how all who remain agreed, and not else."""

from dataclasses import replace
from pathlib import Path

from consortium.charter.document import Charter
from consortium.provisioning.charter_drafts import revise_charter
from consortium.run.evidence_store import EvidenceStore
from strategies.coordinator.masked.parameters import SitesAwaited
from strategies.coordinator.masked.progress import AWAITED_FILE, AwaitedSites
from tests.masked_runs import placed, silent, standing_of
from tests.small_consortium import Consortium, forget_processes

GONE = "west"


def parked(folder: Path, number: int = 2) -> tuple[Consortium, str, AwaitedSites]:
    consortium = placed(folder)
    course = consortium.start(down=silent("train", number, GONE), masks=True)
    assert isinstance(course.error, SitesAwaited)
    read = EvidenceStore(consortium.run.vault).read
    awaited = AwaitedSites.decode(read(f"round-{number}/{AWAITED_FILE}"))
    return consortium, standing_of(consortium).opening.run, awaited


def revised(consortium: Consortium, *without: str, run: str, state: bytes) -> Consortium:
    charter = revise_charter(consortium.charter, without=without, keep_statistics=True)
    charter = Charter.model_validate(
        {**charter.model_dump(), "continues": run, "continues_from": state.hex()}
    )
    for name in charter.names:
        charter.write(consortium.run.site(name) / "charter.json")
    forget_processes()
    return replace(consortium, charter=charter)


def test_it_goes_on(tmp_path: Path) -> None:
    old, run, awaited = parked(tmp_path / "run")
    assert awaited.sites == (GONE,)
    new = revised(old, GONE, run=run, state=awaited.state)
    course = new.start(masks=True, continues=run, num_server_rounds=2)
    assert course.error is None, course.error
    print(course.quarantined, course.model, course.rounds)
