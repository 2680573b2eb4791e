"""What a site does in each mode: the one table of this end."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from flwr.app import Context, Message

from consortium.charter.document import Charter
from consortium.client.clear_answers import ClearAtSite
from consortium.client.egress_schema import (
    Parts,
    ReplyForm,
    Sizes,
    comparison,
    introduction,
)
from consortium.client.encrypted.answers import EncryptedAtSite
from consortium.client.masked.answers import MaskedAtSite
from consortium.client.mod_types import Next
from consortium.client.reply_cache import ReplyCache
from consortium.config import RunConfig
from consortium.modes.clear import InTheClear
from consortium.modes.contract import Mode, half_of
from consortium.modes.encrypted import Encrypted
from consortium.modes.masked import Masked
from consortium.modes.registry import mode_of
from consortium.protocol.parameters import compares_ledgers
from consortium.site.site import Site
from privacy.layout import Tally
from privacy.policy.document import Releases
from privacy.wire import messages


class SiteMode(Protocol):
    """The site's half of a mode."""

    def reply_forms(
        self, charter: Charter, config: RunConfig, sizes: Sizes
    ) -> Mapping[str, ReplyForm]:
        """Return what may leave in a run, by kind of question; without the introduction."""
        ...

    def largest_bytes(self, charter: Charter, config: RunConfig, sizes: Sizes) -> int:
        """Return how many bytes of arrays the largest answer of a run holds, at most."""
        ...

    def require_releasable(self, site: Site, releases: Releases, kind: str, parts: Parts) -> None:
        """Check an answer of the right form against what the site's policy releases.

        Args:
            site: Which answers.
            releases: What its policy lets out.
            kind: What was asked.
            parts: The answer.

        Raises:
            NotReleased: It may not leave.
        """
        ...

    def answer(self, site: Site, message: Message, context: Context, call_next: Next) -> Message:
        """Return the answer to a question, as it leaves.

        Args:
            site: Which answers.
            message: The question, as it came.
            context: Flower's.
            call_next: The app behind, which handles messages in the clear in any mode.
        """
        ...

    def durable_answer(self, site: Site, kind: str) -> AbstractContextManager[None]:
        """Return the block in which a question is answered and noted.

        When it is left, what the answer promises is on the disk.
        """
        ...

    def given_statistics(self, site: Site) -> Tally | None:
        """Return what this site gave into the pooled statistics; None if that is nothing."""
        ...

    def evaluates(self, server_round: int) -> bool:
        """Return whether the state that a round trains from is evaluated, too."""
        ...

    def model_folder(self, site: Site, run: str) -> Path:
        """Return the folder for the model that a site evaluates after the last round of a run."""
        ...

    def reply_cache(self, site: Site, stands: messages.Position) -> ReplyCache | None:
        """Return where the app keeps its answer to a question; None if it need not."""
        ...


_AT_SITE: Mapping[type[Mode], SiteMode] = MappingProxyType(
    {InTheClear: ClearAtSite(), Encrypted: EncryptedAtSite(), Masked: MaskedAtSite()}
)


def at_site(config: RunConfig) -> SiteMode:
    """Return what a site does in the mode of a run."""
    return half_of(mode_of(config), _AT_SITE)


def encrypted_at_site(config: RunConfig) -> EncryptedAtSite:
    """Return what a site does in an encrypted run; only what runs in one may ask."""
    half = at_site(config)
    if not isinstance(half, EncryptedAtSite):
        raise TypeError(f"a run in mode '{mode_of(config).name}' has no ciphertexts")
    return half


def reply_forms(
    site: str, charter: Charter, config: RunConfig, sizes: Sizes
) -> Mapping[str, ReplyForm]:
    """Return what may leave in a run, by kind of question."""
    compares = compares_ledgers(config, charter)
    forms = {
        messages.HELLO: introduction(site, charter, sizes.layout, announces=compares),
        **(comparison(charter) if compares else {}),
        **at_site(config).reply_forms(charter, config, sizes),
    }
    if not config.num_server_rounds:  # it evaluates: whoever asks, nobody trains
        del forms[messages.TRAIN]
    return forms
