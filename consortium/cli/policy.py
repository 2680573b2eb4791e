"""`consortium site check`, `stop-all` and `allow`: dry-run the policy; stop and restart a site."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consortium.audit import journal as audit
from consortium.charter.document import Charter
from consortium.cli.entry import terminal_table
from consortium.cli.options import SET_HELP, SITE, parse_overrides
from consortium.client.audit_trail import journal_of
from consortium.client.policy_dry_run import PolicyFinding, dry_run
from consortium.config import new_run_config
from consortium.site.directory import read_site_config
from privacy.audit.hash_chain import Fact
from privacy.policy import kill_switch

REFUSED = 1

CHARTER = typer.Argument(..., help="The charter, proposed or signed.")
SETTINGS = typer.Option([], "--set", help=SET_HELP)


def check(directory: Path = SITE, charter: Path = CHARTER, settings: list[str] = SETTINGS) -> None:
    """Show what a run could do here and what this site would refuse; exit 1 if it would refuse.

    Nothing is sent, counted or reserved.
    """
    agreed = Charter.read(charter)
    config = new_run_config(parse_overrides(settings), task=agreed.task)
    findings = dry_run(directory, agreed, config, now=time.time())
    Console(markup=False).print(_findings_table(findings))
    refused = [finding for finding in findings if finding.refused]
    if refused:
        print(f"this site would refuse: {'; '.join(one.refused for one in refused)}")
        raise typer.Exit(REFUSED)
    print("this site would take part")


def stop_all(
    directory: Path = SITE,
    reason: str = typer.Option("", help="A note kept at the site; it is never sent."),
) -> None:
    """Stop the site: from now on it answers nothing, whatever its policy says."""
    kill_switch.stop_all(directory, reason)
    note_in_journal(directory, audit.STOPPED)
    print(f"{directory}: stopped; `consortium site allow` lets it answer again")


def allow(directory: Path = SITE) -> None:
    """Let a stopped site answer again, as its policy allows."""
    kill_switch.allow(directory)
    note_in_journal(directory, audit.ALLOWED)
    print(f"{directory}: answers again, as its policy allows")


def note_in_journal(directory: Path, kind: str, **facts: Fact) -> None:
    """Write a decision of the operator to the site's audit log, with the time."""
    journal = journal_of(directory, read_site_config(directory).name)
    journal.note(kind, at=datetime.now(UTC).isoformat(timespec="seconds"), **facts)
    journal.commit()


def _findings_table(findings: Iterable[PolicyFinding]) -> Table:
    table = terminal_table(("what", "this run", "this site's policy", "allowed"))
    for one in findings:
        verdict = Text(f"refused: {one.refused}", "red") if one.refused else Text("yes", "green")
        table.add_row(one.what, Text(one.asked), Text(one.allowed), verdict)
    return table
