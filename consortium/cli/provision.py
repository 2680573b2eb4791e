"""`consortium provision`: make the kits of all parties from their public halves."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.charter.document import Charter
from consortium.provisioning.certificates import read_certificate, read_request
from consortium.provisioning.charter_drafts import read_signatures
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.provision import Tls, issue_own_tls, write_kits

app = typer.Typer(help="Make the kits of all parties.")


@app.command("provision")
def provision(
    out: Path = typer.Argument(..., help="The directory for the kits."),
    charter: Path = typer.Option(..., help="The charter, with the signatures beside it."),
    member: list[Path] = typer.Option(..., help="A member's public half; repeat for each member."),
    request: Path | None = typer.Option(
        None,
        help="The coordinator's server.csr, for a certificate of the consortium's own authority.",
    ),
    server: Path | None = typer.Option(None, help="A certificate that an institution issued."),
    authority: Path | None = typer.Option(
        None, help="The certificate of that institution's authority."
    ),
) -> None:
    """Make a kit for each site and one for the coordinator. No kit holds a private key.

    Give `--request` for a certificate of the consortium's own authority, which is created in
    OUT/authority at the first use and used again later, for renewals. Or give `--server` and
    `--authority` for certificates of an institution.
    """
    now = datetime.now(UTC)
    tls = _choose_tls(out, request, server, authority, now)
    kits = write_kits(
        out / "kits",
        Charter.read(charter),
        read_signatures(charter),
        [PublicHalf.read(path) for path in member],
        tls,
        now=now,
    )
    for kit in kits:
        print(f"{kit}.tar.gz")


def _choose_tls(
    out: Path, request: Path | None, server: Path | None, authority: Path | None, now: datetime
) -> Tls:
    if request is not None and server is None and authority is None:
        return issue_own_tls(out / "authority", read_request(request), now=now)
    if request is None and server is not None and authority is not None:
        return Tls(authority=read_certificate(authority), server=read_certificate(server))
    raise typer.BadParameter("give either --request, or --server and --authority")
