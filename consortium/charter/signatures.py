"""The members' signatures of a charter, in files beside it so that its fingerprint is unchanged."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import BadCharter, Charter, OtherKeys
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadIdentity, BadSignature, NotAMember, PublicIdentity
from privacy.secrets.keys import Identity
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically

_TAG = b"consortium.charter-signature/1\n"
_HEX = r"^[0-9a-f]{128}$"


class Unsigned(ConsortiumError, PermissionError, code="unsigned"):
    """A charter lacks the signature of a member."""


class _SignatureFile(BaseModel):
    """What a file holds, as JSON; `holds` says it in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holds: ClassVar[str]
    version: Literal[1] = 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            BadCharter: The file cannot be read or has another format.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            mistakes = document_mistakes(error, cls)
            raise BadCharter(
                f"{path} does not hold {cls.holds} of a charter: {mistakes}"
            ) from error

    def write(self, path: Path) -> None:
        """Write the file."""
        write_atomically(path, self.model_dump_json(indent=1))


class Signature(_SignatureFile):
    """One member's signature of a charter, in a file that may travel over any channel.

    Args:
        charter: Fingerprint of the charter.
        member: The member who signed.
        signature: Ed25519 signature over a tag and the fingerprint, hexadecimal.
    """

    holds = "a signature"

    charter: str
    member: str
    signature: str = Field(pattern=_HEX)


class Signatures(_SignatureFile):
    """All members' signatures of a charter: `signatures.json` beside `charter.json`."""

    holds = "the signatures"

    signatures: tuple[Signature, ...]

    def signers(self, charter: Charter) -> tuple[str, ...]:
        """Return the names of the members who signed this charter, in the charter's order.

        Raises:
            BadSignature: A signature is not by the member it names, or is of another charter.
        """
        signed = {self._verify_signer(charter, signature) for signature in self.signatures}
        return tuple(name for name in charter.names if name in signed)

    def require_all(self, charter: Charter) -> None:
        """Check that every member signed this charter.

        Raises:
            BadSignature: A signature is not by the member it names, or is of another charter.
            Unsigned: A member did not sign; the message names all who did not.
        """
        signed = self.signers(charter)
        missing = [name for name in charter.names if name not in signed]
        if missing:
            raise Unsigned(
                f"{len(missing)} of {len(charter.names)} members did not sign this charter: "
                f"{', '.join(missing)}",
                missing=len(missing),
            )

    @staticmethod
    def _verify_signer(charter: Charter, signature: Signature) -> str:
        if signature.charter != charter.fingerprint:
            raise BadSignature(f"{signature.member} signed another charter")
        identity = member_identity(charter, signature.member)
        identity.verify(_signed_bytes(charter), bytes.fromhex(signature.signature))
        return signature.member


def sign_charter(charter: Charter, identity: Identity) -> Signature:
    """Sign a charter with a member's identity key.

    Raises:
        NotAMember: The charter does not name this member.
        OtherKeys: The charter's keys for this member differ from its own.
    """
    require_own_keys(charter, identity)
    signature = identity.sign(_signed_bytes(charter)).hex()
    return Signature(charter=charter.fingerprint, member=identity.name, signature=signature)


def require_own_keys(charter: Charter, identity: Identity) -> None:
    """Check that a charter names a member with exactly the member's own keys.

    Raises:
        NotAMember: The charter does not name this member.
        OtherKeys: The keys differ, so the holder of other keys would answer in its name.
    """
    if member_identity(charter, identity.name) != identity.public:
        raise OtherKeys(f"the keys of {identity.name} in the charter differ from this site's keys")


def member_identity(charter: Charter, name: str) -> PublicIdentity:
    """Return the public keys of a member.

    Raises:
        NotAMember: The charter names no such member.
        BadIdentity: The charter has no keys for this member, or unusable ones.
    """
    for member in charter.members:
        if member.name == name:
            if not member.signing:
                raise BadIdentity(f"the charter has no keys for {name}")
            return PublicIdentity.from_description(member.model_dump())
    raise NotAMember(f"{name} is not among the {len(charter.members)} members of the charter")


def _signed_bytes(charter: Charter) -> bytes:
    return _TAG + bytes.fromhex(charter.fingerprint)
