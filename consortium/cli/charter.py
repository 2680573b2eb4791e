"""`consortium charter`: draft, sign, show and revise the charter."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from consortium.charter.document import Charter, Floors
from consortium.charter.signatures import member_identity, sign_charter
from consortium.cli.options import BadOption, parse_maps
from consortium.provisioning.certificates import certificate_digest, read_certificate
from consortium.provisioning.charter_drafts import (
    AgreedMasks,
    NamedCoordinator,
    draft_charter,
    read_schema,
    read_signatures,
    revise_charter,
    signature_path,
    with_agreed_maps,
    with_agreed_masks,
    with_coordinator_key,
    with_hubs,
    with_hubs_to_come,
)
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.hub_enrolment import HubHalf
from consortium.site.agreed_map import require_agreed_map
from consortium.site.directory import read_identity, read_site_config
from consortium.site.masked_runs import require_reached
from consortium.wording.formatting import name_list
from privacy.errors import number_of

app = typer.Typer(help="Draft, sign, show and revise the charter.", no_args_is_help=True)

CHARTER = typer.Argument(..., help="The charter's file.")
COORDINATOR_KEY = typer.Option(
    None, help="A file with what `consortium coordinator key` shows: it signs the questions."
)
MAX_COLLUDERS = typer.Option(
    None, help="Members in league with the coordinator that open nothing of a masked run."
)
SETS_IN_RUN = typer.Option(
    None, help="`one` set of sites in a bucket for a whole masked run, or `any`."
)
_SUITES = "`mlkem768_x25519`: every encrypted run has masks. `x25519`: none has."
SUITE = typer.Option(None, help=_SUITES)
NEW_SUITE = typer.Option("mlkem768_x25519", help=_SUITES)
WITHOUT_MASKS = typer.Option(
    None,
    "--without-masks/--no-without-masks",
    help="Whether encrypted runs may do without masks all the same.",
)
MAPS = typer.Option(
    [],
    "--map",
    help="The map that a member reads its records by, as NAME=FILE or NAME=SHA-256; may be "
    "repeated. NAME= names none any more.",
)
HUBS = typer.Option(
    [],
    "--hub",
    metavar="NAMES=FILE",
    help="The members behind a hub, separated by commas, and its public half; may be repeated.",
)
MEMBER = typer.Option(..., "--member", help="A member's public half; repeat for each member.")


@app.command("new")
def new(
    charter: Path = CHARTER,
    name: str = typer.Option(..., help="The consortium's name."),
    task: str = typer.Option(..., help="The task to train, such as credit."),
    table: Path = typer.Option(..., help="The schema of the records, a JSON file."),
    coordinator: str = typer.Option(..., help="The coordinator's address for sites, HOST:PORT."),
    authority: Path = typer.Option(..., help="The coordinator's authority.pem."),
    member: list[Path] = MEMBER,
    min_sites: int = typer.Option(2, help="Fewest sites in an aggregate."),
    min_others: int = typer.Option(2, help="Fewest other sites in an encrypted sum."),
    encrypted: bool = typer.Option(True, help="Whether every run must be encrypted."),
    coordinator_key: Path | None = COORDINATOR_KEY,
    max_colluders: int | None = MAX_COLLUDERS,
    sets_in_run: str | None = SETS_IN_RUN,
    suite: str = NEW_SUITE,
    without_masks: bool | None = WITHOUT_MASKS,
    maps: list[str] = MAPS,
    hubs: list[str] = HUBS,
) -> None:
    """Draft a charter from the members' public halves, for them to sign."""
    drafted = draft_charter(
        name,
        task=task,
        table=read_schema(table),
        members=[PublicHalf.read(path) for path in member],
        coordinator=NamedCoordinator(
            address=coordinator, authority=certificate_digest(read_certificate(authority))
        ),
        floors=Floors(min_sites=min_sites, min_others=min_others, encrypted=encrypted),
    )
    if coordinator_key is not None:
        drafted = with_coordinator_key(drafted, coordinator_key.read_text().strip())
    masks = AgreedMasks(
        max_colluders=max_colluders,
        sets_in_run=sets_in_run,
        suite=suite,
        without_masks=without_masks,
    )
    drafted = with_agreed_maps(with_agreed_masks(drafted, masks), parse_maps(maps))
    drafted = with_hubs(drafted, _parse_hubs(hubs)) if hubs else drafted
    drafted.write(charter)
    print(
        f"{charter}: {number_of(len(drafted.members), 'member')}, fingerprint {drafted.fingerprint}"
    )


@app.command("sign")
def sign(
    charter: Path = CHARTER,
    site: Path = typer.Argument(..., help="The site's directory."),
) -> None:
    """Sign a charter with a site's identity key; write the signature beside the charter."""
    agreed = Charter.read(charter)
    if agreed.continues:
        # A signature says that this site goes on from there, which it can only if it was there.
        require_reached(site, agreed)
        print(_continued_text(agreed))
    config = read_site_config(site)
    require_agreed_map(agreed, config.name, config.source)
    signature = sign_charter(agreed, read_identity(site))
    path = signature_path(charter, signature.member)
    signature.write(path)
    print(f"{path}: {signature.member} signed {agreed.fingerprint}")
    if agreed.revision > 1:
        print(_exact_counts_text(agreed))


@app.command("show")
def show(charter: Path = CHARTER) -> None:
    """Show a charter, its fingerprint, and who has signed it."""
    agreed = Charter.read(charter)
    signed = read_signatures(charter).signers(agreed)
    print(f"{agreed.name}, revision {agreed.revision}, task {agreed.task}")
    print(f"fingerprint {agreed.fingerprint}")
    print(f"coordinator {agreed.coordinator or 'none named'}")
    print(f"authority   {agreed.authority or 'none named'}")
    print(f"signs with  {agreed.coordinator_key or 'no key: what sites are shown is not proven'}")
    if agreed.statistics_of:
        print(f"statistics  of the revision with fingerprint {agreed.statistics_of}")
    if agreed.continues:
        print(f"goes on     {_continued_text(agreed)}")
    for key, value in agreed.floors.model_dump().items():
        print(f"floor       {key} = {value}")
    for line in _mask_lines(agreed):
        print(f"masks       {line}")
    for hub in agreed.hubs:
        print(f"hub         {hub.name:20} {hub.address or 'no address'}: {name_list(hub.members)}")
    for one in agreed.maps:
        print(f"map         {one.member:20} {one.sha256}")
    for member in agreed.members:
        mark = "signed" if member.name in signed else "NOT SIGNED"
        short = (
            member_identity(agreed, member.name).fingerprint.hex() if member.signing else "no keys"
        )
        print(f"member      {member.name:20} {mark:10} {short}")


@app.command("revise")
def revise(
    charter: Path = CHARTER,
    to: Path = typer.Option(..., help="The new charter's file."),
    without: list[str] = typer.Option([], help="A member that leaves; may be repeated."),
    joining: list[Path] = typer.Option(
        [], help="The public half of a site that joins; may be repeated."
    ),
    authority: Path | None = typer.Option(None, help="Another authority.pem, which all sign."),
    coordinator_key: Path | None = COORDINATOR_KEY,
    keep_statistics: bool = typer.Option(
        False, help="Let the statistics stand that were counted under the charter in force."
    ),
    max_colluders: int | None = MAX_COLLUDERS,
    sets_in_run: str | None = SETS_IN_RUN,
    suite: str | None = SUITE,
    without_masks: bool | None = WITHOUT_MASKS,
    maps: list[str] = MAPS,
    hubs: list[str] = HUBS,
) -> None:
    """Draft the next revision, with members leaving or joining; all its members must sign it."""
    agreed = Charter.read(charter)
    changed = revise_charter(
        with_hubs_to_come(agreed, _parse_hubs(hubs)) if hubs else agreed,
        without=without,
        joining=[PublicHalf.read(path) for path in joining],
        authority=None if authority is None else certificate_digest(read_certificate(authority)),
        keep_statistics=keep_statistics,
    )
    if coordinator_key is not None:
        changed = with_coordinator_key(changed, coordinator_key.read_text().strip())
    masks = AgreedMasks(
        max_colluders=max_colluders,
        sets_in_run=sets_in_run,
        suite=suite,
        without_masks=without_masks,
    )
    changed = with_agreed_maps(with_agreed_masks(changed, masks), parse_maps(maps))
    changed.write(to)
    print(f"{to}: revision {changed.revision}, members {', '.join(changed.names)}")
    print(_exact_counts_text(changed))


def _parse_hubs(given: Iterable[str]) -> list[tuple[HubHalf, list[str]]]:
    """Parse `names=file` options into hubs and the members behind each."""
    found = []
    for option in given:
        names, equals, path = option.partition("=")
        if not equals or not names or not path:
            raise BadOption(f"--hub needs NAMES=FILE, as in east,west=hub.json, got '{option}'")
        found.append((HubHalf.read(Path(path)), names.split(",")))
    return found


def _continued_text(agreed: Charter) -> str:
    """Return which run goes on under a charter, and from where."""
    return f"run {agreed.continues} goes on from state {agreed.continues_from}"


def _mask_lines(agreed: Charter) -> Iterator[str]:
    """Yield what a charter says of encrypted runs with masks."""
    if not agreed.has_keys_for_masks:
        yield f"none: the suite is {agreed.pair_suite}"
        return
    yield "in every encrypted run" if agreed.asks_for_masks else "where a run config asks for them"
    yield f"suite = {agreed.pair_suite}"
    yield f"max_colluders = {agreed.num_colluders}"
    yield f"sets_in_run = {agreed.sets_in_run or 'one, and any where updates carry noise'}"


def _exact_counts_text(revised: Charter) -> str:
    """Return what follows from a revision for exact counts: who joins must know before it signs."""
    difference = "the difference of old and new counts is that of the sites that join or leave"
    if revised.statistics_of:
        return (
            "the statistics of an earlier revision stand; exact evaluations begin anew, so "
            f"{difference}"
        )
    return (
        f"exact counts of encrypted runs begin anew under this revision, so {difference}; with "
        "`revise --keep-statistics` the old statistics stand"
    )
