"""A coordinator whose power went goes on with the same run, to the same model."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.app import Context, Message

from consortium.audit.journal import read_public_keys
from consortium.client_app import app as client_app
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.run.redo_slots import SLOTS
from consortium.server_app import app as server_app
from privacy.audit.hash_chain import Entry, verified_entries
from scenarios.engines.in_process import run_in_process
from tests.disk import Disk
from tests.small_consortium import (
    NAMES,
    Consortium,
    configured,
    forget_processes,
)
from tests.validated_once import validated_once

ROUNDS = 3
WATCHED = 3  # the round whose end, and the next question, are watched


class Led:
    """A coordinator's run of the real apps, over sites that keep what they know.

    Args:
        folder: For all of it.
        masks: Whether masks close the uploads a second time.
    """

    def __init__(self, folder: Path, *, masks: bool = False) -> None:
        self.masks = masks
        self.run = RunDirectory(folder / "run")
        self.consortium = Consortium.placed(folder / "sites", coordinator_key="")
        self.run.path.mkdir()
        self.consortium.charter.write(self.run.charter)

    def lead(self, before: Callable[[Message], None] = lambda _message: None) -> Summary:
        """Run to the end, or go on to it, and return what the run says."""
        forget_processes()

        def app_of(name: str) -> Callable[[Message, Context], Message]:
            def app(message: Message, context: Context) -> Message:
                before(message)
                context.node_config["site-dir"] = str(self.consortium.run.site(name))
                with validated_once():
                    return client_app(message, context)

            return app

        apps = {index: app_of(name) for index, name in enumerate(NAMES)}
        config = configured({"num_server_rounds": ROUNDS, "masks": self.masks})
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(ENVIRONMENT, str(self.run.path))
            run_in_process(server_app, apps, num_sites=len(NAMES), run_config=config.flat())
        return read_record(self.run.summary, Summary)


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Led, Disk, str]:
    """Return a run, the moments from the answers of a round to the next question, and its model."""
    led = Led(tmp_path_factory.mktemp("led"), masks=request.param)
    disks: list[Disk] = []
    blocks = []
    number = 0

    def before(message: Message) -> None:
        nonlocal number
        if message.metadata.message_type not in {"train", "evaluate"}:
            return
        number += 1
        if number == WATCHED * len(NAMES):  # the last site of the round is asked
            sites = tuple(led.consortium.run.site(name) for name in NAMES)
            copies = tmp_path_factory.mktemp("copies")
            disks.append(Disk(led.run.path, also=sites, copies=copies))
            blocks.append(disks[0].watched())
            blocks[0].__enter__()
        if number == WATCHED * len(NAMES) + 1:  # the next question has left
            blocks[0].__exit__(None, None, None)

    summary = led.lead(before)
    assert summary.status == "finished"
    return led, disks[0], summary.model_digest


@pytest.mark.parametrize("watched", [False, True], ids=["unmasked", "masked"], indirect=True)
def test_a_round_takes_two_syncs_and_with_masks_three(watched: tuple[Led, Disk, str]) -> None:
    """One for all that the next question is made of, one for the log before it leaves.

    With masks one more, for the set that witnesses are then asked to confirm.
    """
    led, disk, _ = watched
    names = [Path(one).name for one in disk.syncs]
    assert [name in SLOTS for name in names] == [True] * (2 if led.masks else 1) + [False]
    assert names[-1] == "log.jsonl"


# A masked round keeps all that one without masks does, and more: the other is tried by test-all.
@pytest.mark.parametrize(
    "watched",
    [pytest.param(False, id="unmasked", marks=pytest.mark.slow), pytest.param(True, id="masked")],
    indirect=True,
)
def test_the_power_may_go_at_any_moment_of_a_round(watched: tuple[Led, Disk, str]) -> None:
    """The run goes on from its files, whatever is left of them, to the same model.

    Once the next question left, all that came and went before is in the log.
    """
    led, disk, model = watched
    place, whole, seen = led.run.path, led.run.path.with_name("whole"), set()
    shutil.move(place, whole)
    disk.folder = whole
    told = len((disk.moments[-1].written["coordinator/audit/log.jsonl"]).splitlines())
    noted = [one.hash for one in entries_of(whole)][:told]
    for moment in disk.moments:
        last = moment is disk.moments[-1]
        for case, files in moment.outcomes().items():
            state = hash(frozenset(files.items()))
            tried = last or case == "zeros" or (case == "lost" and moment.what.startswith("before"))
            if state in seen or not tried:
                continue
            seen.add(state)
            disk.put(files, place)
            for name, copy in zip(NAMES, moment.copies, strict=True):
                shutil.rmtree(led.consortium.run.site(name))
                shutil.copytree(copy, led.consortium.run.site(name))
            summary = led.lead()
            assert (summary.status, summary.model_digest) == ("finished", model), moment.what
            kept = [one.hash for one in entries_of(place)]
            if last:
                assert kept[:told] == noted, case
            shutil.rmtree(place)
    assert len(seen) > len(disk.moments) / 2


def entries_of(run: Path) -> list[Entry]:
    """Return the entries of a coordinator's log, which is whole."""
    log = run / "coordinator" / "audit" / "log.jsonl"
    return list(verified_entries(log, read_public_keys(log)))
