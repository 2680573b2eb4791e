"""The directory of a site: where everything that belongs to it stands."""

from functools import lru_cache
from pathlib import Path

from flwr.app import Context
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Charter, UnknownMember
from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError
from privacy.secrets.keys import Identity
from sites.data.source import DataSource
from sites.schema.tables import NAME

LEDGER = "ledger"
_CACHED_CHARTERS = 1_024


class BadSite(ConsortiumError, ValueError):
    """A site's directory does not hold what a site needs."""

    code = "bad-site"


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
    return _read_members(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)


@lru_cache(maxsize=_CACHED_CHARTERS)
def _read_members(path: Path, *_as_it_is_now: int) -> tuple[str, ...]:
    return Charter.read(path).names


def read_site_config(directory: Path) -> SiteConfig:
    """Read `site.json`.

    Raises:
        BadSite: It is not there, or not what it should be.
    """
    path = directory / "site.json"
    try:
        return SiteConfig.model_validate_json(path.read_text())
    except OSError as error:
        raise BadSite(f"no site is set up in {directory}: {path} cannot be read") from error
    except ValidationError as error:
        raise BadSite(f"{path} is not a site's configuration: {error}") from error


def identity_path(site: Path) -> Path:
    """Return where a site's identity keys are."""
    return site / "secrets" / "identity.secret"


def node_key_path(site: Path) -> Path:
    """Return where the key of a site's SuperNode is."""
    return site / "secrets" / "node.key"


def read_identity(site: Path) -> Identity:
    """Return the identity of the site in a directory.

    Raises:
        BadSite: There is no site.
        SecretMissing: It has no identity.
    """
    return Identity.read(identity_path(site), name=read_site_config(site).name)
