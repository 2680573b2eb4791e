"""The receipts: what the logs of a run prove, once they were held against each other."""

from consortium.audit.cross_check import differences, ledger_heads, logs_in, read_log
from consortium.audit.receipt import write_receipt
from consortium.charter.document import Charter
from consortium.client.private_training import ledger_of
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import ReceiptLine

RECEIPT = "receipt.html"
RECEIPTS = "receipts"


def receipt_of(run: RunDirectory, what: str, *, home: RunDirectory) -> ReceiptLine:
    """Check the logs of a run, and write what they prove as one page.

    Guarantee: every log is whole, and the ledger of each site goes on from wherever a log saw it;
    what two logs contradict each other in is named in what is returned, and on the page.

    Args:
        run: A run, finished or not.
        what: Which run, in words.
        home: Whose coordinator keeps the page; another one where the run itself is not kept.

    Raises:
        NoLog: The run kept none.
        AuditChainBroken: A log was altered.
        LedgerRolledBack: A ledger was put back.
    """
    charter = Charter.read(run.charter)
    logs = [read_log(path, charter) for path in logs_in(run.path)]
    for log in logs:
        if not log.is_a_coordinators:
            with ledger_of(run.site(log.owner)) as ledger:
                for head in ledger_heads(log.owner, logs):
                    ledger.check_head(head)
    aside = home.coordinator / RECEIPTS / f"{run.path.name}.html"
    page = home.coordinator / RECEIPT if run == home else aside
    page.parent.mkdir(parents=True, exist_ok=True)
    write_receipt(page, logs)
    return ReceiptLine(
        what=what,
        page=page.relative_to(home.path).as_posix(),
        logs=len(logs),
        entries=sum(len(log.entries) for log in logs),
        differences=tuple(differences(logs)),
    )
