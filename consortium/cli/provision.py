"""`consortium provision`: make the kits of all parties from their public halves."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.charter.document import Charter
from consortium.provisioning.certificates import read_certificate, read_request
from consortium.provisioning.charter_drafts import read_signatures
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.hub_enrolment import HubHalf
from consortium.provisioning.provision import Tls, issue_tls_as_0_1_0, write_kits

app = typer.Typer(help="Make the kits of all parties.")


@app.command("provision")
def provision(
    out: Path = typer.Argument(..., help="The directory for the kits."),
    charter: Path = typer.Option(..., help="The charter, with the signatures beside it."),
    member: list[Path] = typer.Option(..., help="A member's public half; repeat for each member."),
    hub: list[Path] = typer.Option([], help="A hub's public half; repeat for each hub."),
    authority: Path | None = typer.Option(
        None, help="The coordinator's authority.pem, or that of an institution."
    ),
    server: Path | None = typer.Option(
        None, help="The coordinator's certificate, if an institution issued it."
    ),
    request: Path | None = typer.Option(
        None,
        help="The coordinator's server.csr; only with an authority made here by version 0.1.0.",
    ),
) -> None:
    """Make a kit for each party: sites, hubs, the coordinator. No kit holds a private key.

    `--authority` is the certificate whose digest stands in the charter. Where it is an
    institution's, `--server` is the certificate that it issued to the coordinator. Consortia of
    version 0.1.0 go on with `--request`, and with the authority in OUT/authority.
    """
    now = datetime.now(UTC)
    tls = _choose_tls(out, request, authority, server, now)
    kits = write_kits(
        out / "kits",
        Charter.read(charter),
        read_signatures(charter),
        [PublicHalf.read(path) for path in member],
        replace(tls, hubs=tuple(HubHalf.read(path) for path in hub)),
        now=now,
    )
    for kit in kits:
        print(f"{kit}.tar.gz")


def _choose_tls(
    out: Path, request: Path | None, authority: Path | None, server: Path | None, now: datetime
) -> Tls:
    if request is not None and server is None and authority is None:
        return issue_tls_as_0_1_0(out / "authority", read_request(request), now=now)
    if request is None and authority is not None:
        granted = None if server is None else read_certificate(server)
        return Tls(authority=read_certificate(authority), server=granted)
    raise typer.BadParameter("give --authority, and --server too if an institution issued it")
