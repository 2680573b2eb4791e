"""`consortium charter`: the agreement, from a draft to everybody's signature."""

from pathlib import Path

import typer

from consortium.charter.document import Charter, Floors
from consortium.charter.signatures import member_identity, sign_charter
from consortium.provisioning.charter_drafts import (
    draft_charter,
    read_schema,
    read_signatures,
    revise_charter,
    signature_path,
)
from consortium.provisioning.enrolment import PublicHalf
from consortium.site.directory import read_identity

app = typer.Typer(help="Draft, sign and read the agreement.", no_args_is_help=True)

CHARTER = typer.Argument(..., help="File of the charter.")
MEMBER = typer.Option(..., "--member", help="A site's public half; once for each member.")


@app.command("new")
def new(
    charter: Path = CHARTER,
    name: str = typer.Option(..., help="Name of the consortium."),
    task: str = typer.Option(..., help="What the members train, such as credit."),
    table: Path = typer.Option(..., help="Schema of the records, as JSON."),
    coordinator: str = typer.Option(..., help="HOST:PORT that sites reach the coordinator by."),
    member: list[Path] = MEMBER,
    min_sites: int = typer.Option(2, help="Fewest sites in every aggregate."),
    min_others: int = typer.Option(2, help="Fewest other sites in every encrypted sum."),
    encrypted: bool = typer.Option(True, help="Whether every run must be encrypted."),
) -> None:
    """Draft a charter from the members' public halves; nobody has signed it yet."""
    drafted = draft_charter(
        name,
        task=task,
        table=read_schema(table),
        members=[PublicHalf.read(path) for path in member],
        coordinator=coordinator,
        floors=Floors(min_sites=min_sites, min_others=min_others, encrypted=encrypted),
    )
    drafted.write(charter)
    print(f"{charter}: {len(drafted.members)} members, fingerprint {drafted.fingerprint}")


@app.command("sign")
def sign(
    charter: Path = CHARTER,
    site: Path = typer.Argument(..., help="The site's directory."),
) -> None:
    """Sign a charter with a site's identity key; the signature goes beside the charter."""
    agreed = Charter.read(charter)
    signature = sign_charter(agreed, read_identity(site))
    path = signature_path(charter, signature.member)
    signature.write(path)
    print(f"{path}: {signature.member} signed {agreed.fingerprint}")


@app.command("show")
def show(charter: Path = CHARTER) -> None:
    """Show what a charter says, its fingerprint, and who has signed it."""
    agreed = Charter.read(charter)
    signed = read_signatures(charter).signers(agreed)
    print(f"{agreed.name}, revision {agreed.revision}, task {agreed.task}")
    print(f"fingerprint {agreed.fingerprint}")
    print(f"coordinator {agreed.coordinator or 'none named'}")
    for key, value in agreed.floors.model_dump().items():
        print(f"floor       {key} = {value}")
    for member in agreed.members:
        mark = "signed" if member.name in signed else "NOT SIGNED"
        short = (
            member_identity(agreed, member.name).fingerprint.hex() if member.signing else "no keys"
        )
        print(f"member      {member.name:20} {mark:10} {short}")


@app.command("revise")
def revise(
    charter: Path = CHARTER,
    to: Path = typer.Option(..., help="File of the new charter."),
    without: list[str] = typer.Option([], help="A member that leaves."),
    joining: list[Path] = typer.Option([], help="Public half of a site that joins."),
) -> None:
    """Draft the next charter, without or with a member; all who are in it sign it anew."""
    changed = revise_charter(
        Charter.read(charter),
        without=without,
        joining=[PublicHalf.read(path) for path in joining],
    )
    changed.write(to)
    print(f"{to}: revision {changed.revision}, members {', '.join(changed.names)}")
