"""Charters as they come to be: a draft from public halves, a later one without a member."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from consortium.charter.document import BadCharter, Charter, Floors, UnknownMember
from consortium.charter.signatures import Signature, Signatures
from consortium.config import RunConfig
from consortium.provisioning.enrolment import PublicHalf
from consortium.site.site import model_plan
from sites.schema.texts import AgreedTable, AnySchema
from sites.tasks.registry import task_for

_SIGNATURE = ".signature.json"
_TABLE: TypeAdapter[AnySchema] = TypeAdapter(AgreedTable)


def read_schema(path: Path) -> AnySchema:
    """Read a schema.

    Raises:
        BadCharter: There is none.
    """
    try:
        return _TABLE.validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise BadCharter(f"{path} is not a schema: {error}") from error


def draft_charter(
    name: str,
    *,
    task: str,
    table: AnySchema,
    members: Iterable[PublicHalf],
    coordinator: str,
    floors: Floors,
) -> Charter:
    """Return a charter for all members to sign.

    Raises:
        BadCharter: Members, floors or address contradict each other.
        UnknownTask, UnfitSchema: There is no such task, or it does not learn from this schema.
        BadAgreement: Too few members for the floors, or two with the same keys.
    """
    task_for(task, table, model_plan(RunConfig(), table), seed=0)
    try:
        charter = Charter(
            name=name,
            task=task,
            table=table,
            members=tuple(half.member for half in members),
            coordinator=coordinator,
            floors=floors,
        )
    except ValidationError as error:
        raise BadCharter(f"this is no charter: {error}") from error
    _require_usable_keys(charter)
    return charter


def revise_charter(
    charter: Charter, *, without: Iterable[str] = (), joining: Iterable[PublicHalf] = ()
) -> Charter:
    """Return the next charter of a consortium, for the members that are left or new to sign.

    Guarantee: its fingerprint differs, so no message, key or epoch secret of the old one counts
    under it: who left gets no part of the new epoch, who joined none of the old.

    Raises:
        UnknownMember: Somebody who is to leave is no member.
        BadCharter, BadAgreement: What is left is no charter.
    """
    leaving = set(without)
    unknown = sorted(leaving - set(charter.names))
    if unknown:
        raise UnknownMember(f"{', '.join(unknown)}: no such member of {charter.name}")
    stay = [member for member in charter.members if member.name not in leaving]
    members = (*stay, *(half.member for half in joining))
    openers = tuple(name for name in charter.openers if name not in leaving)
    try:
        changed = Charter.model_validate(
            {
                **charter.model_dump(),
                "members": [member.model_dump() for member in members],
                "openers": openers,
                "revision": charter.revision + 1,
            }
        )
    except ValidationError as error:
        raise BadCharter(f"what is left is no charter: {error}") from error
    _require_usable_keys(changed)
    return changed


def signature_path(charter: Path, name: str) -> Path:
    """Return where a member's signature lies: beside the charter."""
    return charter.with_name(f"{charter.stem}.{name}{_SIGNATURE}")


def read_signatures(charter: Path) -> Signatures:
    """Return the signatures that lie beside a charter.

    Raises:
        BadCharter: One of the files is no signature.
    """
    found = sorted(charter.parent.glob(f"{charter.stem}.*{_SIGNATURE}"))
    return Signatures(signatures=tuple(Signature.read(path) for path in found))


def _require_usable_keys(charter: Charter) -> None:
    """Keys that protect nothing, or floors that cannot be met, are found before anybody signs."""
    if charter.floors.encrypted:
        charter.agreement.roster(charter.names)
