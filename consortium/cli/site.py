"""`consortium site`: set up, start and stop a site, and decide which code it runs."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.audit.journal import FORGOTTEN, RECOUNTED
from consortium.cli.lazy_group import LazyCommand, lazy_group
from consortium.cli.options import SITE, WORDS_HELP, parse_one_source
from consortium.deployment import code_approval as approval
from consortium.deployment.code_approval import bundle_diff, choose_code
from consortium.deployment.supernode import SuperNode
from consortium.deployment.supervisor import (
    kill_service,
    start_detached,
    stop_service,
    supervise_service,
)
from consortium.provisioning.enrolment import init_site, public_half, renew_node_key
from consortium.provisioning.installation import install_site
from consortium.run.logs import log_in_detail
from consortium.site.masked_runs import (
    erasure_is_due,
    forget_open_runs,
    forget_run,
    open_runs,
)
from consortium.site.recount import allow_recount, planned_recount
from consortium.wording.formatting import escape_controls
from privacy.audit.hash_chain import Fact
from sites.data.reading import MADE_UP_PERSONS

COMMANDS = {
    "check": LazyCommand(
        "Show what a run could do here and what this site would refuse; exit 1 if it would refuse.",
        "consortium.cli.policy:check",
    ),
    "stop-all": LazyCommand(
        "Stop the site: from now on it answers nothing, whatever its policy says.",
        "consortium.cli.policy:stop_all",
    ),
    "allow": LazyCommand(
        "Let a stopped site answer again, as its policy allows.", "consortium.cli.policy:allow"
    ),
    "preview": LazyCommand(
        "Show what the site would send before training, and how it looks beside the others'.",
        "consortium.cli.report:preview_site",
    ),
    "period": LazyCommand(
        "Declare the records of a later period, or show what the site counted of its periods.",
        "consortium.cli.report:declare_or_list_periods",
    ),
    "ledger": LazyCommand(
        "Show the privacy spent on each of a site's data sets, over all runs.",
        "consortium.cli.ledger:show_ledger",
    ),
}

app = typer.Typer(help="Set up and run a site.", cls=lazy_group(COMMANDS), no_args_is_help=True)

REASON = typer.Option(..., help="Why; it stands in the site's audit log and is never sent.")
OUT = typer.Option(None, "--out", help="A file for the public half; by default the terminal.")


@app.command("init")
def init(
    directory: Path = typer.Argument(..., help="The site's directory."),
    name: str = typer.Option(..., help="The site's name in the charter."),
    data: list[str] = typer.Option(
        ..., help=f"The file of the records, or url::query of a database. {WORDS_HELP}"
    ),
    data_set: str = typer.Option(
        "records", help="The name by which the ledger counts these persons, for ever."
    ),
) -> None:
    """Create a site: its configuration, and its private keys, which never leave it."""
    source = parse_one_source(data)
    half = init_site(directory, name=name, source=source, data_set=data_set)
    print(f"{directory}: site {name}, identity {half.identity.fingerprint.hex()}")
    if source.reading.persons == "rows":
        print(f"NOTICE: {MADE_UP_PERSONS}")


@app.command("public")
def public(directory: Path = SITE, out: Path | None = OUT) -> None:
    """Show or write the public half of a site's keys, which others may have."""
    half = public_half(directory)
    if out is None:
        print(half.model_dump_json(indent=1))
    else:
        half.write(out)


@app.command("install")
def install(
    directory: Path = SITE, kit: Path = typer.Argument(..., help="The kit, packed or unpacked.")
) -> None:
    """Check a kit and install it; repeat with every later kit."""
    charter = install_site(directory, kit, now=datetime.now(UTC))
    print(f"{directory}: charter {charter.name}, revision {charter.revision}, in force")
    print(f"fingerprint {charter.fingerprint}")
    if not charter.authority:
        print(
            "NOTICE: this charter names no authority, so nobody signed authority.pem: compare its"
        )
        print("SHA-256 with the coordinator's, and let the next revision name it")


@app.command("renew-node-key")
def renew(directory: Path = SITE, out: Path | None = OUT) -> None:
    """Replace the key of the site's SuperNode, and show the new public half."""
    if out is not None:
        public(directory, out)  # a file that cannot be written is found while the key is the old
    renew_node_key(directory)
    public(directory, out)


@app.command("up")
def up(
    directory: Path = SITE,
    detached: bool = typer.Option(False, "--detach", help="Run in the background."),
    verbose: bool = typer.Option(False, "--verbose", help="Log more."),
) -> None:
    """Run the SuperNode until told to stop; restart it if it dies."""
    if verbose:
        log_in_detail()
    node = SuperNode(directory)
    if detached:
        print(f"up, process {start_detached(['site', 'up', str(directory)], node)}")
    else:
        supervise_service(node)


@app.command("down")
def down(
    directory: Path = SITE,
    kill: bool = typer.Option(False, "--kill", help="Kill it at once, as a power cut would."),
) -> None:
    """Stop the SuperNode and all its processes."""
    ran = kill_service(SuperNode(directory)) if kill else stop_service(SuperNode(directory))
    print("stopped" if ran else "nothing was running")


@app.command("approve")
def approve(
    directory: Path = SITE,
    bundle: Path = typer.Argument(..., help="The bundle, a .fab file."),
    yes: bool = typer.Option(False, "--yes", help="Approve without asking."),
) -> None:
    """Show how a bundle differs from the last approved one, and add it to the site's list.

    From then on the site runs only bundles on its list, and no other code.
    """
    for line in bundle_diff(directory, bundle):
        print(escape_controls(line))
    if not yes:
        typer.confirm("Approve this code?", abort=True)
    approvals = approval.approve_bundle(directory, bundle, now=datetime.now(UTC))
    print(f"approved {approvals.bundles[-1].digest}; {len(approvals.bundles)} on the list")


@app.command("recount")
def recount(
    directory: Path = SITE,
    reason: str = REASON,
    yes: bool = typer.Option(False, "--yes", help="Allow it without asking."),
) -> None:
    """Let the site count its training records again, once, in its next run with the same sites.

    Records are counted once under a charter. After a mended column the later runs go on with the
    old counts, unless the operator says so.
    """
    planned = planned_recount(directory)
    print(f"'{planned.data_set}' is counted again for {', '.join(planned.roster)}, and no others.")
    print("The other members hold the old and the new sum over all sites. Their difference is the")
    print("change of this site's own counts: of one patient, if one was added or corrected.")
    print("They are told in the run that this site counted again.")
    if not yes:
        typer.confirm("Count again?", abort=True)
    _note_in_journal(
        directory, RECOUNTED, data_set=planned.data_set, number=planned.number, reason=reason
    )
    allow_recount(directory, planned, reason, now=datetime.now(UTC))
    print("the next run with the same sites counts the records as they are then")


@app.command("forget")
def forget(
    directory: Path = SITE,
    run: str = typer.Argument("", help="The run's id, as it is listed where none is given."),
    all_open: bool = typer.Option(False, "--all-open", help="All of them, and unused keys."),
) -> None:
    """Delete the secrets of a masked run at this site, which takes no further part in it.

    Without a run it lists those that stand open. After `memory/` was put back from a copy, all must
    go before the site answers anything: it has forgotten what it confirmed.
    """
    if run and all_open:
        raise typer.BadParameter("name a run or --all-open, not both")
    if not run and not all_open:
        print("\n".join(open_runs(directory)) or "no run stands open")
        _require_erased(directory)
        return
    if run:
        forget_run(directory, run)
    gone = (run,) if run else forget_open_runs(directory)
    _note_in_journal(directory, FORGOTTEN, runs=",".join(gone))
    for one in gone:
        print(f"forgot {one}: it can go on without this site only")
    if not gone:
        print("no run stood open")
    _require_erased(directory)


def _note_in_journal(directory: Path, kind: str, **facts: Fact) -> None:
    from consortium.cli.policy import note_in_journal  # with Flower, which few commands need

    note_in_journal(directory, kind, **facts)


def _require_erased(directory: Path) -> None:
    if erasure_is_due(directory):
        print("another process reads this site's memory, so what was deleted is still in its log:")
        print(f"end that process, then `consortium site forget {directory}` erases it")
        raise typer.Exit(1)


@app.command("code")
def code(
    directory: Path = SITE,
    installed: bool = typer.Option(..., "--installed/--listed", help="What the site runs."),
) -> None:
    """Choose which code a site runs: the installed package, or the bundles on its list."""
    approvals = choose_code(directory, "installed" if installed else "listed")
    print(f"runs {'the installed package' if approvals.runs_installed else 'bundles on its list'}")
