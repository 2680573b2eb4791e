"""A round of many sites through hubs, beside the same round without: time, traffic and memory.

`python -m tests.benchmarks.hubs [--json]` from the root of the repository. The coordinator of the
run has a process of its own; another process is all hubs and sites. Coordinator and hubs are those
of the product. The sites are made up: all send the same ciphertexts, each with a receipt of its
own, because what a site does is the same with hubs and without. Both ways take the same uploads,
one after the other, in one run of the benchmark, and both end in the same sum.

The seconds are CPU time of both processes, so they tell of the work whatever else the machine does.
"""

import hashlib
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message

from consortium.charter.document import Charter, Member
from consortium.charter.hubs import Hub, dealt
from consortium.config import RunConfig
from consortium.coordinator.assembly import sealed_terms
from consortium.coordinator.hubs.hub_grid import HubGrid
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.encryption.parameters import PARAMETER_SETS, Placement
from privacy.identity.log_signing_key import SigningKey
from privacy.layout import Field, Layout
from privacy.protocol.envelope import EVALUATION, NO_STATE, TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.key_messages import Opening, OpeningTerms
from privacy.protocol.upload import upload_digest
from privacy.secrets.keys import Identity
from privacy.secrets.linear_mac import Checksum, upload_pad
from privacy.secrets.sealer import BfvSecret, Sealer
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from scenarios.engines.hubs import hub_apps
from scenarios.engines.in_process import InProcessGrid, SiteApp
from scenarios.engines.runner import ScenarioRun, resume_run
from scenarios.engines.staging import new_run_directory, stage
from strategies.coordinator.encrypted.parameters import SealedTerms
from strategies.coordinator.encrypted.rounds.ciphertext_sums import UploadForm
from strategies.coordinator.encrypted.rounds.questions import Questions
from strategies.coordinator.messaging.exchange import ByteCount, Exchange
from strategies.coordinator.messaging.roster import Present, Roster
from tests.benchmarks.apart import Line, RemoteBus
from tests.benchmarks.crowd import crowd_of_banks
from tests.benchmarks.deployment import crowd as crowd_of_learners
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.peak import keep_peak

SITES, HUBS, DIM = 1_000, 20, 100_000
TIME_TARGET = 1.2
ROUND = 2
BEGIN = "begin"


@dataclass(frozen=True)
class Crowd:
    """So many sites, their keys and what all of them seal.

    Args:
        num_sites: Sites.
        num_hubs: Hubs that they stand behind.
    """

    num_sites: int
    num_hubs: int

    @cached_property
    def identities(self) -> dict[str, Identity]:
        """The sites' identities, always the same."""
        return {
            f"site-{at:04}": Identity(
                f"site-{at:04}",
                signing=hashlib.sha256(b"signing %d" % at).digest(),
                receiving=hashlib.sha256(b"receiving %d" % at).digest(),
            )
            for at in range(self.num_sites)
        }

    @cached_property
    def charter(self) -> Charter:
        """Their charter, without hubs."""
        scenario = crowd_of_banks(self.num_sites, records=50, run_config={})
        members = tuple(
            Member.model_validate(one.public.describe()) for one in self.identities.values()
        )
        floors = scenario.floors.model_copy(update={"encrypted": True})
        return scenario.charter.model_copy(update={"members": members, "floors": floors})

    @cached_property
    def config(self) -> RunConfig:
        """The run config."""
        return RunConfig.parse({"aggregation": "encrypted", "scale-rule": "following"})

    def with_hubs(self, run: RunDirectory) -> Charter:
        """Return the charter with the hubs, whose keys are in a run's directory."""
        hubs = tuple(
            Hub(
                name=f"hub-{at}",
                members=members,
                signing=SigningKey.at(run.hub(f"hub-{at}").key).public.hex(),
            )
            for at, members in enumerate(dealt(self.charter.names, self.num_hubs))
        )
        return self.charter.model_copy(update={"hubs": hubs})

    @cached_property
    def uploads(self) -> dict[str, bytes]:
        """The ciphertexts that all of them send, by purpose."""
        forms = forms_of(sealed_terms(self.config, self.charter), self.layout)
        return {purpose: sealed(form.placement) for purpose, form in forms.items()}

    @cached_property
    def layout(self) -> Layout:
        """Of the vector that they train."""
        return Layout(fields=(Field("weight", (DIM,)),))


def opening_of(charter: Charter) -> bytes:
    """Return an opening for all members; nobody here checks who signed it."""
    terms = OpeningTerms(
        label="bench",
        descriptor=bytes(32),
        charter=bytes.fromhex(charter.fingerprint),
        epoch=1,
        epoch_fingerprint=bytes(32),
        opener=charter.names[0],
        roster=charter.names,
        lineage=None,
        salt=bytes(32),
    )
    return Opening(terms=terms, wrapped=b"none", signature=bytes(64)).encode()


def sealed(placement: Placement) -> bytes:
    """Return the ciphertexts that all sites send."""
    parameters = placement.parameters
    checksum = Checksum(
        bytes(32), b"", num_rows=placement.num_ciphertexts, row_length=parameters.degree
    )
    rng = np.random.default_rng(7)
    levels = rng.integers(-9, 9, placement.dim).astype(np.int32)
    tally = np.zeros(placement.tally_size, np.int64)
    sealer = Sealer(BfvSecret.generate(parameters), placement, checksum)
    return sealer.seal(levels, tally, pad=upload_pad(bytes(32), b""))


def forms_of(terms: SealedTerms, layout: Layout) -> dict[str, UploadForm]:
    """Return the forms of what is asked for in a round of training."""
    return {
        TRAINING: terms.update_form(layout, ROUND),
        EVALUATION: terms.evaluation_form(layout),
    }


def site_app(crowd: Crowd, charter: Charter, name: str, forms: dict[str, UploadForm]) -> SiteApp:
    """Return a site that introduces itself, and sends what all send."""
    uploads = crowd.uploads
    run = Opening.decode(opening_of(charter)).run

    def signed(purpose: str) -> bytes:
        slot = Slot(run=run, purpose=purpose, server_round=ROUND, attempt=1)
        label = UploadLabel(
            slot=slot, site=name, bucket=0, weight_class=8 if purpose == TRAINING else 1,
            nonce=hashlib.sha256(name.encode()).digest(), state=NO_STATE,
        )  # fmt: skip
        digest = upload_digest(forms[purpose].header(label), [uploads[purpose]])
        return Receipt.sign(label, upload=digest, sign=crowd.identities[name].sign).encode()

    def app(asked: Message, _context: Context) -> Message:
        if asked.metadata.message_type == messages.HELLO:
            said = messages.Introduction(
                site=name, charter=charter.fingerprint, layout=crowd.layout, num_examples=0
            )
            return Message(messages.introduction(said), reply_to=asked)
        reply = SealedReply(
            upload=uploads[TRAINING],
            receipt=signed(TRAINING),
            count_upload=uploads[EVALUATION],
            count_receipt=signed(EVALUATION),
        )
        return Message(reply.content(), reply_to=asked)

    return app


def be_the_others(crowd: Crowd, run: RunDirectory, charter: Charter, line: Line) -> None:
    """Answer for all sites, and for their hubs if there are any, until there is nothing more."""
    forms = forms_of(sealed_terms(crowd.config, charter), crowd.layout)
    apps: dict[int, SiteApp] = {
        at: site_app(crowd, charter, name, forms) for at, name in enumerate(charter.names)
    }
    nodes = hub_apps(run, charter, crowd.config, apps) if charter.hubs else apps
    grid = InProcessGrid(nodes, len(apps), crowd.config.flat())
    line.send(list(grid.get_node_ids()))
    while asked := line.recv():
        if asked == BEGIN:
            line.send(time.process_time())
            continue
        verb, what = asked
        line.send(list((grid.push_messages if verb == "push" else grid.pull_messages)(what)))
    line.send(time.process_time())


def round_of(crowd: Crowd, charter: Charter, run: RunDirectory) -> dict[str, Any]:
    """Take one round; return what it cost, and the digest of the sum."""
    here, there = (Line(end) for end in socket.socketpair())
    others = get_context("fork").Process(
        target=be_the_others, args=(crowd, run, charter, there), daemon=True
    )
    others.start()
    bus: Any = RemoteBus(here, nodes=here.recv())
    grid = HubGrid(bus, charter, crowd.config.digest) if charter.hubs else bus
    terms, traffic = sealed_terms(crowd.config, charter), ByteCount()
    exchange = Exchange(grid=grid, deadline_s=3_600.0, traffic=traffic)
    nodes = list(grid.get_node_ids())
    hello = messages.greeting(charter.fingerprint, bytes(32))
    said = [
        (reply.metadata.src_node_id, messages.read_introduction(reply.content, max_examples=0))
        for reply in exchange.replies(
            exchange.message(messages.HELLO, node, hello, group="0") for node in nodes
        )
    ]
    present = {one.site: Present(node=node, num_examples=0) for node, one in said}
    roster = Roster(layout=crowd.layout, present=present, asked=frozenset(nodes))
    vault = EvidenceStore(run.vault)
    questions = Questions(terms=terms, roster=roster, keep=vault.keep, observe=lambda _event: None)
    request = SealedRound(
        charter=charter.fingerprint, server_round=ROUND, attempt=1, opening=opening_of(charter)
    )
    question = questions.put(request, charter.names, forms_of(terms, crowd.layout))
    here.send(BEGIN)
    theirs, ours = -float(here.recv()), -time.process_time()
    up = traffic.up
    with keep_peak() as held:
        question.gather(exchange.replies(question.messages(messages.TRAIN, exchange)))
        receipts, sums = question.sums[TRAINING].finish_sums(floor=3)
    ours += time.process_time()
    here.send(None)
    theirs += float(here.recv())
    others.join()
    if len(question.replies) != crowd.num_sites:
        raise SystemExit(f"{len(question.replies)} of {crowd.num_sites} answers were taken")
    return {
        "cpu_s": theirs + ours,
        "coordinator_cpu_s": ours,
        "coordinator_bytes_held": held[0],
        "coordinator_bytes_received": traffic.up - up,
        "receipts_bytes": len(receipts),
        "sum": hashlib.sha256(sums).hexdigest(),
    }


def both_ways(num_sites: int, num_hubs: int) -> dict[str, dict[str, Any]]:
    """Take the same round without hubs and through them."""
    with tempfile.TemporaryDirectory() as folder:
        crowd = Crowd(num_sites, num_hubs)
        _ = crowd.uploads  # sealed once, for both ways
        flat, hubs = (RunDirectory(Path(folder) / name) for name in ("flat", "hubs"))
        return {
            "flat": round_of(crowd, crowd.charter, flat),
            "hubs": round_of(crowd, crowd.with_hubs(hubs), hubs),
        }


def report(num_sites: int, num_hubs: int) -> dict[str, object]:
    """Return the figures, and the targets that were missed."""
    began, load = time.monotonic(), os.getloadavg()[0]
    few = both_ways(num_hubs * 2, num_hubs)
    many = both_ways(num_sites, num_hubs)
    flat, hubs = many["flat"], many["hubs"]
    ratio = hubs["cpu_s"] / flat["cpu_s"]
    missed: list[object] = []
    if ratio > TIME_TARGET:
        missed.append({"what": "cpu_ratio", "figure": round(ratio, 3), "target": TIME_TARGET})
    if hubs["sum"] != flat["sum"]:
        missed.append({"what": "same_sum", "figure": 0, "target": 1})
    levels = {n: PARAMETER_SETS["default"](n).levels for n in (16, 95, num_sites)}
    return {
        "benchmark": "hubs",
        "sites": num_sites,
        "hubs": num_hubs,
        "parameters": DIM,
        "load_before": round(load, 1),
        "cpu_ratio": round(ratio, 3),
        "same_sum": hubs["sum"] == flat["sum"],
        "many": many,
        "few_sites_in_as_many_hubs": few,
        "levels_of_so_many_sites": levels,
        "missed": missed,
        "seconds": round(time.monotonic() - began, 1),
    }


def run_of_learners(num_sites: int, num_hubs: int) -> tuple[float, str]:
    """Return the CPU seconds of a run of one round of real sites, and the digest of its model."""
    scenario = crowd_of_learners(num_sites, "encrypted")
    config = scenario.config_with({})
    with tempfile.TemporaryDirectory() as folder:
        run = new_run_directory(scenario, under=Path(folder), named=None)
        stage(run, scenario, config=config, num_hubs=num_hubs)
        began = time.process_time()
        order = ScenarioRun(scenario=scenario, config=config, num_hubs=num_hubs)
        model = resume_run(order, run).model_digest
        return time.process_time() - began, model


def whole_runs(num_sites: int, num_hubs: int) -> dict[str, object]:
    """Return what whole runs of one round take, of real sites, all in this process."""
    load = os.getloadavg()[0]
    run_of_learners(4, 0)  # what is imported and read once is in no figure
    flat_s, flat = run_of_learners(num_sites, 0)
    hubs_s, hubs = run_of_learners(num_sites, num_hubs)
    return {
        "benchmark": "hubs, whole runs",
        "sites": num_sites,
        "hubs": num_hubs,
        "load_before": round(load, 1),
        "flat_cpu_s": round(flat_s, 1),
        "hubs_cpu_s": round(hubs_s, 1),
        "cpu_ratio": round(hubs_s / flat_s, 3),
        "same_model": flat == hubs,
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options(__doc__)
    parser.add_argument("--sites", type=int, default=SITES)
    parser.add_argument("--hubs", type=int, default=HUBS)
    parser.add_argument("--whole", action="store_true", help="whole runs of real sites instead")
    chosen = parser.parse_args()
    if chosen.whole:
        print_figures(whole_runs(chosen.sites, chosen.hubs), as_json=chosen.json)
        return
    print_figures(report(chosen.sites, chosen.hubs), as_json=chosen.json)


if __name__ == "__main__":
    main()
