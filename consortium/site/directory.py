"""The directory of a site: where everything that belongs to it stands."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Charter, UnknownMember
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import SITE_FILE, CoordinatorDirectory, PartyDirectory
from consortium.run.paths import PathIn
from privacy.errors import ConsortiumError, number_of
from privacy.policy.document import FILE as POLICY
from privacy.secrets.keys import Identity
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.site_process import SITE_PROCESS, Cache
from sites.data.source import DataSource
from sites.schema.tables import NAME

if TYPE_CHECKING:  # Flower takes a third of a second to load, and most commands need no message
    from flwr.app import Context


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
        keep_keys_days: Days after which the site deletes its secrets of a masked run that has not
            come to its end; it can then go on without this site only.
        shortest_pause_s: Seconds between two questions for a message, shortly after the last one.
        encoder: The encoder of this site, by its directory or name, where a run averages answers
            to agreed texts (`learner=distil`); empty for the run's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    source: DataSource
    data_set: str = Field(default="records", pattern=NAME)
    sealing_processes: int = Field(default=1, ge=1, le=64)
    keep_keys_days: int = Field(default=30, ge=1, le=3_650)
    shortest_pause_s: float = Field(default=0.1, ge=0.02, le=3.0)
    encoder: str = Field(default="", max_length=500)


@dataclass(frozen=True)
class SiteDirectory(PartyDirectory):
    """Paths of what a site keeps; docs/operate.md says who writes each."""

    config = PathIn(SITE_FILE)
    """What the operator decides about the site: a `SiteConfig`."""

    policy = PathIn(POLICY)
    """What the operator allows."""

    identity = PartyDirectory.secrets / "identity.secret"
    """Private identity keys: signing and receiving."""

    side_key = PartyDirectory.secrets / "sides.secret"
    """The secret that decides who is held out, the same for ever."""

    sides = PathIn("sides")
    """On which side each person stands, by keyed digest."""

    validation = PathIn("validation.json")
    """In an experiment that chooses between models: by whom of the training records."""

    node_key = PartyDirectory.secrets / "node.key"
    """Private key of the SuperNode."""

    log = PathIn("site.log")
    """Texts of errors, which may quote records and never leave the site."""

    ledger = PathIn("ledger")
    """The ledger of privacy, and the private runs that reserve in it."""

    memory = PathIn("memory")
    """What the site remembers of encrypted runs, so as not to be fooled or to answer twice."""

    traffic = PathIn("traffic")
    """How many messages were answered, and when."""

    answers = PathIn("answers")
    """The last answer of a run in the clear, in case it is asked for again."""

    last_answer_0_1_0 = answers / "last.bin"
    """The same, where version 0.1.0 kept it."""

    last_update = PathIn("last-update.json")
    """How the site stood when it sent its last update of a triggered run."""

    model = PathIn("model")
    """The trained model, as files."""

    provisional = PathIn("provisional")
    """The model of an encrypted run whose final state is not confirmed yet, in a folder."""

    mistakes = PathIn("mistakes") / "last.jsonl"
    """Held-out texts that the final model reads wrongly, if the policy asks for them."""

    record_check = PathIn("record-check.json")
    """How the site's records look beside those of all others, at the last comparison."""

    periods = PathIn("periods")
    """Which records the operator declared for later periods, and what the site counted of them."""

    accepted_findings = PathIn("accepted-findings.json")
    """What the operator said is right of what the comparison found."""

    shown_columns = PathIn("shown-columns.json")
    """For whom the site showed figures of its own in a Table 1, and which."""

    approvals = PathIn("approved.json")
    """The list of code bundles that the site runs."""

    bundles = PathIn("approved")
    """Copies of the bundles on the list."""

    audit_signing_key = PartyDirectory.audit / "signing.secret"
    """Signs the audit log of a site without an identity."""

    audit_link_key = PartyDirectory.audit / "link.secret"
    """Keys the digests of messages in the audit log."""

    supernode_log = PartyDirectory.flower / "supernode.log"
    """What Flower's SuperNode prints."""

    def charter_secrets(self, fingerprint: str) -> Path:
        """Return where the epoch secrets under a charter are."""
        return self.secrets / f"charter-{fingerprint}"


def site_directory(context: "Context") -> Path:
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
        raise UnknownMember(
            f"partition {index} is not one of the charter's {number_of(len(names), 'member')}"
        )
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
        if CoordinatorDirectory(directory).server_key.is_file():
            raise BadSite(f"{directory} is the directory of a coordinator: name that of a site")
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
        mistakes = document_mistakes(error, SiteConfig)
        # Pydantic's own error quotes the URL of a database, and would be in the site's log as well.
        raise BadSite(f"{path} is not a site's configuration: {mistakes}") from None


def read_identity(site: Path) -> Identity:
    """Return the identity of the site in a directory.

    Raises:
        BadSite: There is no site.
        SecretMissing: It has no identity.
    """
    return Identity.read(SiteDirectory(site).identity, name=read_site_config(site).name)
