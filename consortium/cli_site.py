"""`consortium site`: what the operator of an institution does."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium import cli_ledger
from consortium.installation import install_site
from consortium.joining import init_site, public_half, renew_node_key
from sites.source import DataSource, SqlQuery, TableFile

app = typer.Typer(help="Set up and run a site.", no_args_is_help=True)
app.command("ledger")(cli_ledger.command)

SITE = typer.Argument(..., help="The site's directory.")
OUT = typer.Option(None, "--out", help="File for the public half; the terminal if none.")


@app.command()
def init(
    directory: Path = SITE,
    name: str = typer.Option(..., help="The site's name in the charter."),
    data: str = typer.Option(..., help="File of the records, or url::query of a database."),
) -> None:
    """Make a site: its keys, which never leave it, and its configuration."""
    half = init_site(directory, name=name, source=_source(data))
    print(f"{directory}: site {name}, identity {half.identity.fingerprint.hex()}")


@app.command()
def public(directory: Path = SITE, out: Path | None = OUT) -> None:
    """Show or write the public half of a site's keys: what others may have."""
    half = public_half(directory)
    if out is None:
        print(half.model_dump_json(indent=1))
    else:
        half.write(out)


@app.command()
def install(
    directory: Path = SITE, kit: Path = typer.Argument(..., help="The kit, as it came.")
) -> None:
    """Take over a kit, once all of it is checked; run again with every later kit."""
    charter = install_site(directory, kit, now=datetime.now(UTC))
    print(f"{directory}: charter {charter.name}, revision {charter.revision}, in force")
    print(f"fingerprint {charter.fingerprint}")


@app.command("renew-node-key")
def renew(directory: Path = SITE, out: Path | None = OUT) -> None:
    """Replace the key of the site's SuperNode, and show the new public half."""
    renew_node_key(directory)
    public(directory, out)


def _source(text: str) -> DataSource:
    url, separated, query = text.partition("::")
    if separated and query:
        return SqlQuery(url=url, query=query)
    path = Path(text).resolve()
    if not path.exists():
        raise typer.BadParameter(f"there is no file {path}")
    return TableFile(path=path)
