"""Receipts: check the logs of a run against each other and write what they prove."""

from consortium.audit.cross_check import contradictions, find_logs, ledger_heads, read_log
from consortium.audit.receipt import write_receipt
from consortium.charter.document import Charter
from consortium.client.site_ledger import ledger_of
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import ReceiptLine

RECEIPT = "receipt.html"
RECEIPTS = "receipts"


def write_run_receipt(run: RunDirectory, what: str, *, home: RunDirectory) -> ReceiptLine:
    """Check the logs of a run, and write what they prove on one page.

    Guarantee: every log is complete, and each site's ledger continues every head of it that a log
    recorded. Contradictions between two logs are listed in the result and on the page.

    Args:
        run: A run, finished or not.
        what: Which run it is, in words.
        home: Run whose coordinator keeps the page; another one if `run` itself is not kept.

    Raises:
        NoLog: The run has no logs.
        AuditChainBroken: A log was altered.
        LedgerRolledBack: A ledger was replaced by an older one.
    """
    charter = Charter.read(run.charter)
    logs = [read_log(path, charter) for path in find_logs(run.path)]
    for log in logs:
        if not log.is_a_coordinators:
            with ledger_of(run.site(log.owner)) as ledger:
                for head in ledger_heads(log.owner, logs):
                    ledger.check_head(head)
    aside = home.coordinator / RECEIPTS / f"{run.path.name}.html"
    page = home.coordinator / RECEIPT if run == home else aside
    page.parent.mkdir(parents=True, exist_ok=True)
    write_receipt(page, logs, charter, run=run.path.name)
    return ReceiptLine(
        what=what,
        page=page.relative_to(home.path).as_posix(),
        logs=len(logs),
        entries=sum(len(log.entries) for log in logs),
        differences=tuple(contradictions(logs)),
    )
