"""The directory of a site: where everything that belongs to it stands."""

from dataclasses import dataclass
from pathlib import Path

from flwr.app import Context
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Charter, UnknownMember
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import PartyDirectory
from privacy.errors import ConsortiumError
from privacy.policy.document import FILE as POLICY
from privacy.secrets.keys import Identity
from privacy.storage.site_process import SITE_PROCESS, Cache
from sites.data.source import DataSource
from sites.schema.tables import NAME


class BadSite(ConsortiumError, ValueError, code="bad-site"):
    """A site's directory does not hold what a site needs."""


class SiteConfig(BaseModel):
    """What the operator of a site decides: `site.json`.

    Args:
        name: The site's name in the charter.
        source: Where its records are.
        data_set: Under which its ledger counts what was learnt from them: one name for all
            records of the same persons, however the file is called or grows.
        sealing_processes: Processes that share the sealing of a large update.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    source: DataSource
    data_set: str = Field(default="records", pattern=NAME)
    sealing_processes: int = Field(default=1, ge=1, le=64)


@dataclass(frozen=True)
class SiteDirectory(PartyDirectory):
    """Paths of what a site keeps; docs/operate.md says who writes each."""

    @property
    def config(self) -> Path:
        """What the operator decides about the site: a `SiteConfig`."""
        return self.path / "site.json"

    @property
    def policy(self) -> Path:
        """What the operator allows."""
        return self.path / POLICY

    @property
    def identity(self) -> Path:
        """Private identity keys: signing and receiving."""
        return self.secrets / "identity.secret"

    @property
    def side_key(self) -> Path:
        """The secret that decides who is held out, the same for ever."""
        return self.secrets / "sides.secret"

    @property
    def sides(self) -> Path:
        """On which side each person stands, by keyed digest."""
        return self.path / "sides"

    @property
    def node_key(self) -> Path:
        """Private key of the SuperNode."""
        return self.secrets / "node.key"

    @property
    def log(self) -> Path:
        """Texts of errors, which may quote records and never leave the site."""
        return self.path / "site.log"

    @property
    def ledger(self) -> Path:
        """The ledger of privacy, and the private runs that reserve in it."""
        return self.path / "ledger"

    @property
    def memory(self) -> Path:
        """What the site remembers of encrypted runs, so as not to be fooled or to answer twice."""
        return self.path / "memory"

    @property
    def traffic(self) -> Path:
        """How many messages were answered, and when."""
        return self.path / "traffic"

    @property
    def answers(self) -> Path:
        """The last answer of a run in the clear, in case it is asked for again."""
        return self.path / "answers"

    @property
    def last_answer_0_1_0(self) -> Path:
        """The same, where version 0.1.0 kept it."""
        return self.answers / "last.bin"

    @property
    def model(self) -> Path:
        """The trained model, as files."""
        return self.path / "model"

    @property
    def provisional(self) -> Path:
        """The model of an encrypted run whose final state is not confirmed yet, in a folder."""
        return self.path / "provisional"

    @property
    def mistakes(self) -> Path:
        """Held-out texts that the final model reads wrongly, if the policy asks for them."""
        return self.path / "mistakes" / "last.jsonl"

    @property
    def approvals(self) -> Path:
        """The list of code bundles that the site runs."""
        return self.path / "approved.json"

    @property
    def bundles(self) -> Path:
        """Copies of the bundles on the list."""
        return self.path / "approved"

    @property
    def audit_signing_key(self) -> Path:
        """Signs the audit log of a site without an identity."""
        return self.audit / "signing.secret"

    @property
    def audit_link_key(self) -> Path:
        """Keys the digests of messages in the audit log."""
        return self.audit / "link.secret"

    @property
    def supernode_log(self) -> Path:
        """What Flower's SuperNode prints."""
        return self.flower / "supernode.log"

    def charter_secrets(self, fingerprint: str) -> Path:
        """Return where the epoch secrets under a charter are."""
        return self.secrets / f"charter-{fingerprint}"


def site_directory(context: Context) -> Path:
    """Return the directory of the site that this process is.

    In deployment the node config names it (`site-dir`); in a simulation it is that of the
    charter's member at `partition-id`, in the run directory of the environment.

    Raises:
        UnknownMember: The partition is not one of a member.
        BadRunDirectory: No run directory is named.
    """
    named = context.node_config.get("site-dir")
    if isinstance(named, str):
        return Path(named)
    run = RunDirectory.from_environment()
    names = _members(run.charter)
    index = context.node_config.get("partition-id")
    if not isinstance(index, int) or not 0 <= index < len(names):
        raise UnknownMember(f"partition {index} is not one of the charter's {len(names)} members")
    return run.site(names[index])


def _members(path: Path) -> tuple[str, ...]:
    """Return the members of the charter at a path, read again only if the file is another."""
    try:
        facts = path.stat()
    except OSError:
        return Charter.read(path).names
    as_it_is_now = (path, facts.st_mtime_ns, facts.st_size, facts.st_ino)
    return _MEMBERS.get(as_it_is_now, lambda: Charter.read(path).names)


_MEMBERS: Cache[tuple[Path, int, int, int], tuple[str, ...]] = SITE_PROCESS.cache(
    "members", most=1_024
)


def require_site(directory: Path) -> None:
    """Check that a site is set up in a directory.

    Raises:
        BadSite: It has no `site.json`.
    """
    if not SiteDirectory(directory).config.is_file():
        raise BadSite(
            f"no site is set up in {directory}: name the directory of a site, or set one up with "
            "`consortium site init`"
        )


def read_site_config(directory: Path) -> SiteConfig:
    """Read `site.json`.

    Raises:
        BadSite: It is not there, or not what it should be.
    """
    path = SiteDirectory(directory).config
    try:
        return SiteConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadSite(f"no site is set up in {directory}: {path} cannot be read") from error
    except ValidationError as error:
        raise BadSite(f"{path} is not a site's configuration: {error}") from error


def read_identity(site: Path) -> Identity:
    """Return the identity of the site in a directory.

    Raises:
        BadSite: There is no site.
        SecretMissing: It has no identity.
    """
    return Identity.read(SiteDirectory(site).identity, name=read_site_config(site).name)
