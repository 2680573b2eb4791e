"""Pages of each kind that the product makes, written by the product from samples."""

from datetime import UTC, datetime
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.cross_check import find_logs, read_log
from consortium.audit.journal import open_journal
from consortium.audit.receipt import write_receipt
from consortium.report.ledger.page import write_export
from consortium.report.ledger.statement import read_ledger_view
from consortium.report.preview.page import write_preview
from consortium.report.preview.view import preview_of
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory
from consortium.site.record_check import check_records
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Budget, DataSet, Released
from privacy.differential.mechanisms import HeldOut, SampledGaussian
from privacy.identity.log_signing_key import SigningKey
from privacy.policy.document import Policy
from scenarios.attacks.assignment import AttackAssignment
from scenarios.engines.staging import stage
from tests.consortium.site.test_record_check import SCENARIO, others, site


def ledger_of_many_runs(folder: Path) -> Path:
    """Write the page of a ledger with private runs and one that released without noise."""
    Policy().write(folder.parent)
    data = DataSet(name="patients-of-the-whole-region", fingerprint="a" * 64)
    event = SampledGaussian(
        noise_multiplier=30.0, sampling_rate=0.125, steps=15, clip_norm=1.0, unit="person"
    )
    with Ledger(SiteDirectory(folder.parent).ledger) as ledger:
        for letter in "abc":
            budget = Budget(epsilon=3.0, delta=1e-6)
            ledger.reserve(event, data_set=data, run=letter * 64, budget=budget)
        what = HeldOut(what="evaluation")
        at = "2026-03-04T05:06:07+00:00"
        ledger.enter_release(
            Released(event=what, data_set=data, run="d" * 64, part="1", asked="", at=at)
        )
    view, now = read_ledger_view(folder.parent), datetime.now(UTC)
    return write_export(view, folder, site="north", now=now)[0]


def receipt_of_a_run(folder: Path) -> Path:
    """Write the receipt of a site's log, without the coordinator's."""
    key = SigningKey.at(folder / "signing.secret")
    journal = open_journal(folder, owner="north", key=key.public, sign=key.sign)
    journal.note(audit.RUN, run="e" * 32, charter="c" * 64, config="d" * 64, program="f" * 64)
    journal.commit()
    page = folder / "receipt.html"
    write_receipt(page, [read_log(path) for path in find_logs(folder)], run="a-run-of-spring")
    return page


def preview_with_an_alarm(folder: Path) -> Path:
    """Write the preview of a hospital that measures a column in other units than the others."""
    folder.mkdir(parents=True, exist_ok=True)
    run, name = RunDirectory(folder), "va-long-beach"
    stage(run, SCENARIO, lies=AttackAssignment(seed=7, attacks=SCENARIO.faults))
    check_records(site(run, name), others(run, name))
    page = folder / "preview.html"
    write_preview(preview_of(run.site(name)), page, now=datetime.now(UTC))
    return page
