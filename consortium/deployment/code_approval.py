"""Decide which code a site runs: the installed package, or the bundles that it approved."""

import difflib
import hashlib
import io
import sys
import zipfile
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consortium.charter.document import Charter
from consortium.site.directory import SiteDirectory, read_site_config, site_directory
from privacy.errors import ConsortiumError
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically

if TYPE_CHECKING:  # Flower takes a third of a second to load, and an operator's command needs none
    from flwr.app import Context, Message

SiteApp: TypeAlias = Callable[["Message", "Context"], "Message"]

_MOST_BYTES = 50_000_000
_OURS = ("consortium", "sites", "strategies", "privacy", "scenarios")
# What a damaged archive raises; an IndexError where a file has no name.
_BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError, IndexError)


class NotApproved(ConsortiumError, PermissionError, code="not-approved"):
    """The bundle of a run is not on the site's list of approved bundles."""


class BadBundle(ConsortiumError, ValueError, code="bad-bundle"):
    """A file is not a Flower bundle, or the site's list of approved bundles cannot be read."""


class Approved(BaseModel):
    """A bundle that the site's operator has approved.

    Args:
        digest: SHA-256 of the bundle, hexadecimal; Flower calls it the FAB hash.
        at: Time of approval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: datetime


class Approvals(BaseModel):
    """The code a site runs: the content of `approved.json`, which only its operator writes.

    Args:
        run: `installed`, the default: the installed package answers and the bundle of a run is
            ignored. `listed`: the bundle answers if it is on the list, and no other does.
        bundles: The approved bundles, in order of approval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    run: Literal["installed", "listed"] = "installed"
    bundles: tuple[Approved, ...] = ()

    @property
    def runs_installed(self) -> bool:
        """Whether the installed package answers."""
        return self.run == "installed"

    def require_approved(self, bundle: bytes) -> None:
        """Check that a bundle is on the list, by a digest computed from its bytes.

        Raises:
            NotApproved: The bundle is not on the list.
        """
        digest = bundle_digest(bundle)
        if digest not in {approved.digest for approved in self.bundles}:
            raise NotApproved(
                f"bundle {digest} is not on this site's list of approved bundles: review it, then "
                "approve it with `consortium site approve`",
                listed=len(self.bundles),
            )


def bundle_digest(bundle: bytes) -> str:
    """Return the SHA-256 of a bundle, hexadecimal."""
    return hashlib.sha256(bundle).hexdigest()


def read_approvals(site: Path) -> Approvals:
    """Read which code a site runs; without a file, it runs the installed package.

    Raises:
        BadBundle: The list cannot be read. The site then runs nothing.
    """
    path = SiteDirectory(site).approvals
    if not path.exists():
        return Approvals()
    try:
        return Approvals.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        mistakes = document_mistakes(error, Approvals)
        raise BadBundle(f"{path} is not a list of approved bundles: {mistakes}") from error


def approve_bundle(site: Path, bundle: Path, *, now: datetime) -> Approvals:
    """Add a bundle to a site's list, keep a copy, and switch the site to the list.

    Raises:
        BadBundle: The file is not a bundle.
    """
    content = _read_bundle(bundle)
    read_bundle_texts(content)
    folder = SiteDirectory(site).bundles
    folder.mkdir(exist_ok=True)
    digest = bundle_digest(content)
    write_atomically(folder / f"{digest}.fab", content)
    held = read_approvals(site)
    others = tuple(one for one in held.bundles if one.digest != digest)
    return choose_code(site, "listed", (*others, Approved(digest=digest, at=now)))


def choose_code(
    site: Path, run: Literal["installed", "listed"], bundles: tuple[Approved, ...] | None = None
) -> Approvals:
    """Set which code a site runs, from its next message on."""
    held = read_approvals(site)
    approvals = Approvals(run=run, bundles=held.bundles if bundles is None else bundles)
    write_atomically(SiteDirectory(site).approvals, approvals.model_dump_json(indent=1))
    return approvals


def bundle_diff(site: Path, bundle: Path) -> list[str]:
    """Return a line diff between a bundle and the last approved one; without one, all of it.

    Raises:
        BadBundle: The file is not a bundle.
    """
    new = read_bundle_texts(_read_bundle(bundle))
    held = read_approvals(site).bundles
    last = SiteDirectory(site).bundles / f"{held[-1].digest}.fab" if held else None
    old = read_bundle_texts(_read_bundle(last)) if last is not None else {}
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, ""), new.get(name, "")
        lines += difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"approved/{name}", f"new/{name}", lineterm=""
        )
    return lines


def read_bundle_texts(bundle: bytes) -> dict[str, str]:
    """Return the files of a bundle by name, as texts. Nothing is written to disk.

    Raises:
        BadBundle: It is not a bundle, or it would unpack to more than the limit.
    """
    files = read_bundle_files(bundle)
    return {name: content.decode(errors="backslashreplace") for name, content in files.items()}


def read_bundle_files(bundle: bytes) -> dict[str, bytes]:
    """Return the files of a bundle by name. Nothing is written to disk.

    Raises:
        BadBundle: It is not a bundle, or it would unpack to more than the limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if sum(info.file_size for info in infos) <= _MOST_BYTES:
                return {info.filename: _unpacked(archive, info) for info in infos}
    except _BROKEN as error:
        raise BadBundle(f"this is not a bundle: {error}") from error
    raise BadBundle(f"the bundle would unpack to more than the {_MOST_BYTES:,} bytes allowed")


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # as Flower makes them
        raise zipfile.BadZipFile(f"{info.filename} is compressed in a way that no bundle has")
    # Not `archive.read`: that unpacks all there is, however little the archive says it holds.
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _read_bundle(bundle: Path) -> bytes:
    try:
        return bundle.read_bytes()
    except OSError as error:
        raise BadBundle(f"{bundle} cannot be read") from error


class BundleGate:
    """Accepts or refuses a bundle before any of it is unpacked or imported.

    Guarantee: the code that is loaded is in the bytes that were checked. They are unpacked to a
    folder that nobody used before. What a run says its bundle is called decides nothing.

    Args:
        approvals: Which code the site runs.
        installed: Returns the app of the installed package.
        unpack: Unpacks a bundle to an unused folder of this process, and returns the folder.
        load: Returns the app in such a folder.
    """

    def __init__(
        self,
        approvals: Approvals,
        *,
        installed: Callable[[], SiteApp],
        unpack: Callable[[bytes], Path],
        load: Callable[[Path], SiteApp],
    ) -> None:
        self._approvals = approvals
        self._installed = installed
        self._unpack = unpack
        self._load = load
        self._refused = NotApproved("the run came without a bundle, and this site keeps a list")
        self._unpacked: Path | None = None

    def install_bundle(self, bundle: bytes, **_how: object) -> None:
        """Unpack a bundle if the site keeps a list and the bundle is on it; else do nothing."""
        if self._approvals.runs_installed:
            return
        try:
            self._approvals.require_approved(bundle)
        except NotApproved as error:
            # Raised here, the error would reach the coordinator as a crash of the site. The app
            # refuses the message instead.
            self._refused = error
        else:
            self._unpacked = self._unpack(bundle)

    def choose_app(self, *_claimed: str) -> SiteApp:
        """Return the app that answers the message, whatever id, version and hash the run claims."""
        if self._approvals.runs_installed:
            return self._installed()
        if self._unpacked is None:
            return refusing_app(self._refused)
        _unload_installed_modules()
        return self._load(self._unpacked)


def refusing_app(error: ConsortiumError) -> SiteApp:
    """Return an app that answers every message with a refusal, in the name of its site."""
    # Only a refusal needs these.
    from flwr.app import Message

    from consortium.client.greeting_proofs import proven_refusal
    from privacy.wire.flower_records import refusal_content, refusal_of

    def app(message: "Message", context: "Context") -> "Message":
        try:
            place = SiteDirectory(site_directory(context))
            name, charter = read_site_config(place.path).name, Charter.read(place.charter)
        except ConsortiumError:  # a site that is not set up must refuse all the same
            return Message(refusal_content(error), reply_to=message)
        refusal = refusal_of(error.code, error.counts, site=name)
        return Message(
            proven_refusal(
                refusal, message, context, directory=place.path, name=name, charter=charter
            ),
            reply_to=message,
        )

    return app


def _unload_installed_modules() -> None:
    """Remove the installed package from `sys.modules`, so that a bundle imports only its own."""
    for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
        del sys.modules[name]
