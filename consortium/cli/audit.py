"""`consortium audit`: check and show the audit logs of sites and coordinators."""

import shutil
from contextlib import suppress
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consortium.audit import journal as audit
from consortium.audit.cross_check import (
    ReadLog,
    find_logs,
    ledger_heads,
    read_log,
    require_agreement,
)
from consortium.audit.known_programs import programs_used, require_known
from consortium.audit.program import package_digest, program_digest, read_program
from consortium.audit.receipt import write_receipt
from consortium.charter.document import Charter
from consortium.cli.entry import terminal_table
from consortium.deployment.code_approval import BadBundle, read_bundle_files
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import PartyDirectory
from consortium.site.directory import SiteDirectory
from consortium.site.tails import complete_tails
from consortium.wording.formatting import escape_controls, moment, name_list
from privacy.audit.hash_chain import AuditChainBroken, AuditLogUnavailable
from privacy.differential.ledger import Ledger
from privacy.errors import ConsortiumError, number_of

app = typer.Typer(help="Check and show the audit logs.", no_args_is_help=True)

_LOG = ("log of", "entries", "from (UTC)", "to (UTC)", "key", "head")
_ENTRY = ("line", "at (UTC)", "what", "facts")

LOGS = typer.Argument(..., help="Log files, or directories of sites, coordinators or runs.")
CHARTER = typer.Option(None, "--charter", help="The charter whose keys are trusted.")
CODE = typer.Option(
    [], "--code", help="A bundle, or a folder with the packages, such as a clone; may be repeated."
)
LEDGER = typer.Option(None, "--ledger", help="A site's directory, to check its ledger too.")


@app.command("verify")
def verify(
    logs: list[Path] = LOGS, charter: Path | None = CHARTER, ledger: Path | None = LEDGER
) -> None:
    """Check that logs are intact and do not contradict each other; exit 1 if not."""
    read, broken = _try_logs(logs, _find_charter(logs, charter))
    Console(markup=False).print(_log_table(read, total=len(read) + len(broken)))
    for error in broken[1:]:
        print(escape_controls(f"{error.code}: {error}"))
    if broken:
        raise broken[0]
    require_agreement(read)
    sites, coordinators = len([one for one in read if not one.is_a_coordinators]), len(read)
    if sites in (0, coordinators):
        print("one side only: to detect a log cut off at its end, check a site's log together with")
        print("a coordinator's")
    if ledger is not None:
        _check_ledger(ledger, read)


@app.command("show")
def show(
    log: Path = typer.Argument(..., help="A log file, or the directory of a site or coordinator."),
    charter: Path | None = CHARTER,
) -> None:
    """Check a log, and show its entries."""
    for read in _read_logs([log], _find_charter([log], charter)):
        title = f"log of {escape_controls(read.owner)}"
        table = terminal_table(_ENTRY, title=title, whole=("line", "at (UTC)"))
        for entry in read.entries:
            facts = ", ".join(f"{key} {value}" for key, value in entry.event.facts.items())
            table.add_row(
                str(entry.number),
                moment(entry.at, seconds=True),
                _text(entry.event.kind),
                _text(facts),
            )
        Console(markup=False).print(table)


@app.command("receipt")
def receipt(
    directory: Path = typer.Argument(..., help="The directory of a run, a site or a coordinator."),
    charter: Path | None = CHARTER,
    out: Path = typer.Option(Path("receipt.html"), "--out", help="The file to write."),
) -> None:
    """Write what the logs prove as one HTML page, for an auditor."""
    agreed = _find_charter([directory], charter)
    run = directory.resolve().name if RunDirectory(directory).coordinator.is_dir() else ""
    write_receipt(out, _read_logs([directory], agreed), agreed, run=run)
    print(f"wrote {out}")


@app.command("evidence")
def evidence(
    site: Path = typer.Argument(..., help="The site's directory."),
    out: Path = typer.Option(..., "--out", help="A new directory, to be given to the auditor."),
) -> None:
    """Copy a site's audit log, and the public key that verifies it, for an auditor of sums.

    The log holds digests and signatures. No key of the site and no record is copied.
    """
    complete_tails(site)
    (log,) = find_logs(SiteDirectory(site).audit / audit.LOG)
    read_log(log)
    copied = PartyDirectory(out).audit
    copied.mkdir(parents=True)
    for name in (audit.LOG, audit.PUBLIC):
        shutil.copyfile(log.with_name(name), copied / name)
    print(f"wrote {out}: give it to the auditor")


@app.command("program")
def program(
    logs: list[Path] = LOGS, charter: Path | None = CHARTER, code: list[Path] = CODE
) -> None:
    """Compute the digest of code again, and say in which runs of logs it answered.

    Without --code, the code is the package installed here. The bundles that a site approved, if its
    directory is named, are code too. Exit 1 if a log names a program that is none of them.
    """
    agreed = Charter.read(charter) if charter else None
    used = programs_used(_read_logs(logs, agreed))
    approved = [one for place in logs for one in sorted(SiteDirectory(place).bundles.glob("*.fab"))]
    found = [(_code_digest(path), str(path)) for path in [*approved, *code]]
    if not code:
        found.append((package_digest(), "the package installed here"))
    known = {
        digest: name_list([name for one, name in found if one == digest]) for digest, _ in found
    }
    for digest, what in known.items():
        print(f"{digest}  {escape_controls(what)}")
    for one in used:
        what = known.get(one.digest, f"OTHER CODE, {one.digest}")
        times = number_of(one.runs, "time")
        since = one.first if one.first == one.last else f"{one.first} to {one.last}"
        print(escape_controls(f"log of {one.owner}: {times}, {since}: {what}"))
    require_known(used, known)


def _code_digest(path: Path) -> str:
    """Return the digest of a bundle, or of the packages in a folder."""
    files = read_program(path) if path.is_dir() else read_bundle_files(path.read_bytes())
    if not files:
        raise BadBundle(f"{path} holds no module of this project: name a bundle or a clone")
    return program_digest(files)


def _text(said: object) -> Text:
    """Return what a log says for a table: without commands to the terminal, and no markup."""
    return Text(escape_controls(str(said)))


def _find_charter(places: list[Path], charter: Path | None) -> Charter | None:
    """Return the charter that was named, or the first one in these places."""
    there = [PartyDirectory(place).charter for place in places]
    named = charter or next((path for path in there if path.exists()), None)
    return Charter.read(named) if named else None


def _read_logs(places: list[Path], agreed: Charter | None) -> list[ReadLog]:
    return [read_log(path, agreed) for place in places for path in _find_whole_logs(place)]


def _find_whole_logs(place: Path) -> list[Path]:
    """Find the logs of a place; a site's gets back what it lost with the machine."""
    found = find_logs(place)
    for log in found:
        with suppress(ConsortiumError, OSError):  # whoever may only read checks it as it is
            complete_tails(log.absolute().parent.parent)
    return found


def _try_logs(
    places: list[Path], agreed: Charter | None
) -> tuple[list[ReadLog], list[ConsortiumError]]:
    """Return the logs that are whole, and what is wrong with each of the others."""
    read: list[ReadLog] = []
    broken: list[ConsortiumError] = []
    for path in [path for place in places for path in _find_whole_logs(place)]:
        try:
            read.append(read_log(path, agreed))
        except (AuditChainBroken, AuditLogUnavailable) as error:
            broken.append(error)
    return read, broken


def _log_table(read: list[ReadLog], *, total: int) -> Table:
    title = f"{len(read)} of {number_of(total, 'log')} intact"
    table = terminal_table(_LOG, title=title, whole=_LOG[1:4], numbers=("entries",))
    for log in read:
        table.add_row(
            _text(log.owner),
            str(len(log.entries)),
            log.entries[0].at[:10],
            moment(log.entries[-1].at),
            "in the charter" if log.key_from_charter else "beside the log",
            log.head.hash[:8],
        )
    return table


def _check_ledger(site: Path, logs: list[ReadLog]) -> None:
    """Check that a site's ledger continues every ledger head that the logs recorded."""
    complete_tails(site)
    owner = read_log(find_logs(site)[0]).owner
    with Ledger(SiteDirectory(site).ledger) as ledger:
        heads = ledger_heads(owner, logs)
        for head in heads:
            ledger.check_head(head)
    name = escape_controls(owner)
    print(f"the ledger of {name} continues all {len(heads)} ledger heads in the logs")
