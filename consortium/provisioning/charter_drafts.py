"""Draft charters: a first one from the members' public halves, later ones with other members."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from consortium.charter.addresses import require_own_addresses
from consortium.charter.document import BadCharter, Charter, Floors, UnknownMember
from consortium.charter.hubs import Hub
from consortium.charter.signatures import Signature, Signatures
from consortium.config import RunConfig
from consortium.provisioning.enrolment import PublicHalf
from consortium.provisioning.hub_enrolment import HubHalf
from consortium.provisioning.kits import require_kit_names
from consortium.site.site import model_plan
from privacy.errors import number_of
from privacy.protocol.masks.groups import smallest_sum
from privacy.storage.document_mistakes import document_mistakes
from sites.schema.texts import AgreedTable, AnySchema
from sites.tasks.registry import require_fit

_SIGNATURE = ".signature.json"
_TABLE: TypeAdapter[AnySchema] = TypeAdapter(AgreedTable)


@dataclass(frozen=True, kw_only=True)
class NamedCoordinator:
    """What a charter says of its coordinator.

    Args:
        address: Its address for sites, as HOST:PORT.
        authority: SHA-256 of the certificate of its authority, hexadecimal.
    """

    address: str
    authority: str


@dataclass(frozen=True, kw_only=True)
class AgreedMasks:
    """What a draft says of masks; None leaves what the charter says.

    Args:
        max_colluders: Members in league with the coordinator that open nothing; 0 says nothing.
        sets_in_run: `one` or `any`; empty says nothing.
        suite: Key exchange between pairs of sites; empty says nothing.
        without_masks: Whether encrypted runs may do without masks where the suite has them.
    """

    max_colluders: int | None = None
    sets_in_run: str | None = None
    suite: str | None = None
    without_masks: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ContinuedRun:
    """A run that goes on under the next revision.

    Args:
        run: The run id.
        state: Digest of the sealed state from which it does, hexadecimal.
    """

    run: str
    state: str


def read_schema(path: Path) -> AnySchema:
    """Read the schema of a table or of texts.

    Raises:
        BadCharter: The file is not a schema.
    """
    try:
        return _TABLE.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadCharter(
            f"{path} is not a schema: {document_mistakes(error, AgreedTable)}"
        ) from error


def draft_charter(
    name: str,
    *,
    task: str,
    table: AnySchema,
    members: Iterable[PublicHalf],
    coordinator: NamedCoordinator,
    floors: Floors,
) -> Charter:
    """Return a draft charter, for all members to sign.

    Raises:
        BadCharter: Members, floors or address are invalid or contradict each other.
        UnknownTask, UnfitSchema: There is no such task, or it cannot learn from this schema.
        BadAgreement: There are too few members for the floors, or two have the same keys.
    """
    # Who drafts need not have what learns: the coordinator, or sites that only count.
    require_fit(task, table, model_plan(RunConfig(), table))
    try:
        charter = Charter(
            name=name,
            task=task,
            table=table,
            members=tuple(half.member for half in members),
            coordinator=coordinator.address,
            authority=coordinator.authority,
            floors=floors,
        )
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"the draft is not a valid charter: {mistakes}") from error
    _require_workable(charter)
    return charter


def revise_charter(
    charter: Charter,
    *,
    without: Iterable[str] = (),
    joining: Iterable[PublicHalf] = (),
    authority: str | None = None,
    keep_statistics: bool = False,
    continued: ContinuedRun | None = None,
) -> Charter:
    """Return the next revision of a charter, for its remaining and new members to sign.

    Guarantee: its fingerprint differs, so no message, key or epoch secret of the old charter is
    valid under the new one. A member that left gets no secret of the new epoch, and one that
    joined gets none of the old.

    Args:
        charter: The charter in force.
        without: Names of members that leave.
        joining: Public halves of sites that join.
        authority: SHA-256 of the certificate of another authority; by default the same.
        keep_statistics: Let the pooled statistics of the charter in force stand. Otherwise they
            are counted anew, and the difference is that of who joins or leaves.
        continued: A run with masks that goes on without the members that leave; none by default.

    Raises:
        UnknownMember: A member that is to leave is not in the charter.
        BadCharter, BadAgreement: The result is not a valid charter.
    """
    leaving = set(without)
    unknown = sorted(leaving - set(charter.names))
    if unknown:
        raise UnknownMember(f"{', '.join(unknown)} cannot leave {charter.name}: no such member")
    stay = [member for member in charter.members if member.name not in leaving]
    members = (*stay, *(half.member for half in joining))
    openers = tuple(name for name in charter.openers if name not in leaving)
    standing = charter.statistics_of or charter.fingerprint  # who counted them has no other name
    try:
        changed = Charter.model_validate(
            {
                **charter.model_dump(),
                "members": [member.model_dump() for member in members],
                "openers": openers,
                "hubs": _hubs_of_remaining(charter.hubs, leaving),
                "maps": [one.model_dump() for one in charter.maps if one.member not in leaving],
                "revision": charter.revision + 1,
                "authority": charter.authority if authority is None else authority,
                "statistics_of": standing if keep_statistics else "",
                "continues": continued.run if continued else "",
                "continues_from": continued.state if continued else "",
            }
        )
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"the revision is not a valid charter: {mistakes}") from error
    _require_workable(changed)
    return changed


def _hubs_of_remaining(hubs: Iterable[Hub], leaving: Collection[str]) -> list[dict[str, object]]:
    """Return hubs without the members that leave; a hub without members is none any more."""
    stay = [(hub, [name for name in hub.members if name not in leaving]) for hub in hubs]
    return [{**hub.model_dump(), "members": members} for hub, members in stay if members]


def with_coordinator_key(charter: Charter, key: str) -> Charter:
    """Return a draft that names the key with which the coordinator signs its questions.

    Args:
        charter: The draft.
        key: Ed25519 public key, hexadecimal.

    Raises:
        BadCharter: It is no usable key.
    """
    try:
        return Charter.model_validate({**charter.model_dump(), "coordinator_key": key})
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"{key} is not the key of a coordinator: {mistakes}") from error


def with_agreed_maps(charter: Charter, maps: Mapping[str, str]) -> Charter:
    """Return a draft that names the maps by which members read their records.

    Args:
        charter: The draft; the maps of members that are not named stay.
        maps: By member, the SHA-256 of its map, hexadecimal; empty to name none any more.

    Raises:
        BadCharter: Somebody is no member, or a digest is none.
    """
    standing = {one.member: one.sha256 for one in charter.maps}
    named = [
        {"member": name, "sha256": one} for name, one in sorted({**standing, **maps}.items()) if one
    ]
    try:
        return Charter.model_validate({**charter.model_dump(), "maps": named})
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"the draft is not a valid charter: {mistakes}") from error


def with_hubs(charter: Charter, hubs: Sequence[tuple[HubHalf, Sequence[str]]]) -> Charter:
    """Return a draft in which these members stand behind these hubs; other hubs stay as they are.

    Args:
        charter: The draft.
        hubs: The public half of each hub, and the names of the members behind it.

    Raises:
        BadCharter: A member stands behind no hub or behind several, or a hub has no name, key or
            address of its own, or has the coordinator's.
        BadPublicHalf: A public half holds no certificate.
    """
    described = [hub.model_dump() for hub in _placed(charter, hubs)]
    try:
        changed = Charter.model_validate({**charter.model_dump(), "hubs": described})
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"the draft is not a valid charter: {mistakes}") from error
    _require_workable(changed)
    return changed


def with_hubs_to_come(charter: Charter, hubs: Sequence[tuple[HubHalf, Sequence[str]]]) -> Charter:
    """Return the charter in force with the hubs of its next revision, for `revise_charter` alone.

    Members that join may stand behind them already. Nobody checks it before the revision is made.

    Args:
        charter: The charter in force.
        hubs: The public half of each hub, and the names of the members behind it.
    """
    standing = charter.statistics_of or charter.fingerprint
    changed = {"hubs": _placed(charter, hubs), "statistics_of": standing}
    return charter.model_copy(update=changed)


def _placed(charter: Charter, hubs: Sequence[tuple[HubHalf, Sequence[str]]]) -> tuple[Hub, ...]:
    placed = {hub.name: hub for hub in charter.hubs}
    placed |= {half.name: half.before(members) for half, members in hubs}
    return tuple(placed.values())


def with_agreed_masks(charter: Charter, masks: AgreedMasks) -> Charter:
    """Return a draft that says something else of masks.

    Raises:
        BadCharter: A value is none of those it may have; or every run is to be encrypted and have
            masks, and there are too few members for them.
    """
    said = {name: value for name, value in asdict(masks).items() if value is not None}
    try:
        changed = Charter.model_validate({**charter.model_dump(), **said})
    except ValidationError as error:
        mistakes = document_mistakes(error, Charter)
        raise BadCharter(f"the draft is not a valid charter: {mistakes}") from error
    needed = smallest_sum(changed.num_colluders, changed.floors.min_others)
    bound = changed.floors.encrypted and changed.asks_for_masks
    if bound and len(changed.names) < needed:
        raise BadCharter(
            f"masks need {number_of(needed, 'site')} with max_colluders={changed.num_colluders} "
            f"and min_others={changed.floors.min_others}, and the draft has "
            f"{number_of(len(changed.names), 'member')}: invite more, lower either, or allow runs "
            "without masks",
            needed=needed,
            came=len(changed.names),
        )
    return changed


def signature_path(charter: Path, name: str) -> Path:
    """Return the path of a member's signature, which is stored beside the charter."""
    return charter.with_name(f"{charter.stem}.{name}{_SIGNATURE}")


def read_signatures(charter: Path) -> Signatures:
    """Read the signatures stored beside a charter.

    Raises:
        BadCharter: One of the files is not a signature.
    """
    found = sorted(charter.parent.glob(f"{charter.stem}.*{_SIGNATURE}"))
    return Signatures(signatures=tuple(Signature.read(path) for path in found))


def _require_workable(charter: Charter) -> None:
    """Check, before anybody signs, what would else be noticed only by whoever installs a kit.

    That is: usable keys, floors that can be met, and names and addresses that no two parties share.
    """
    require_kit_names([*charter.names, *(hub.name for hub in charter.hubs)])
    require_own_addresses(charter)
    if charter.floors.encrypted:
        charter.agreement.roster(charter.names)
