"""An encrypted run: the coordinator adds what it cannot read, and the sites open the sums."""

from collections.abc import Sequence
from typing import ClassVar

from consortium.charter.document import Charter
from consortium.config import BadConfig, RunConfig
from consortium.modes.contract import NO_WAITING, LeagueTerms, Mode, OutsideCharter
from consortium.modes.registry import mode_of
from privacy.encryption.parameters import PARAMETER_SETS, Placement, SealParameters
from privacy.layout import Tally
from privacy.policy.document import Releases
from privacy.protocol.grouping import WEIGHT_CLASSES, require_buckets
from sites.learners.registry import learner_for
from strategies.rules.registry import RuleSpec

_HALF = 0.5
_NUMBER = 4  # bytes
_SAME_ON_EVERY_CPU = ("none", "norm-clipping")


class Encrypted(Mode):
    """Updates and counts leave a site in ciphertexts, which are added in buckets of sites.

    Nobody sees the counts of one site, so that none are rounded or withheld.
    """

    name: ClassVar[str] = "encrypted"
    coordinator_reads: ClassVar[bool] = False
    needs_identities: ClassVar[bool] = True
    keeps_signed_sums: ClassVar[bool] = True
    masks_uploads: ClassVar[bool] = False
    voter: ClassVar[str] = "bucket"
    who_reads: ClassVar[str] = (
        "The coordinator added ciphertexts. It could read neither updates nor the model."
    )
    hidden_figure: ClassVar[str] = "sealed"

    def why_hidden(self, noun: str) -> str:
        """Return why a report lacks figures of one site."""
        return f"Sealed: in an encrypted run nobody can read the figures of a single {noun}."

    def league_terms(self, charter: Charter, *, noun: str, nouns: str, noise: bool) -> LeagueTerms:
        """Return that one member is enough: they share the run's key."""
        one_lock = (
            f"All {nouns} share the run's key: one that colludes with the coordinator can open "
            f"another {noun}'s upload."
        )
        return LeagueTerms(not_closed=(one_lock,))

    def contradiction(self, config: RunConfig) -> str:
        """Return what contradicts encryption: exact weights, or too few sites in a round."""
        if config.weighting == "examples":
            return (
                "exact example counts would show in encrypted sums: set weighting to classes "
                "or equal"
            )
        if config.schedule.name != "synchronous":
            return (
                f"schedule={config.schedule.name} runs in the clear only (docs/protocol.md says "
                "why): set schedule to synchronous, or aggregation to clear"
            )
        if config.compression.name != "none":
            return (
                f"compression={config.compression.name} is for runs in the clear, and ciphertexts "
                "hold whole levels that are added: set compression to none, and parameter-set to "
                "compact-12 or compact-8, or prune-to below 1"
            )
        # With half of the sites or fewer no state could ever win a majority of the roster.
        if config.fraction <= _HALF:
            return (
                "more than half of the sites vouch for each state of an encrypted run: set "
                "fraction above 0.5"
            )
        if config.continues and not self.masks_uploads:
            return NO_WAITING
        return ""

    def require_agreed(self, config: RunConfig, charter: Charter) -> None:
        """Check that the scale of the first round is within the charter's bounds.

        Raises:
            OutsideCharter: It is not; or the members ask for masks, and this run has none.
        """
        if charter.asks_for_masks and not config.masks:
            raise OutsideCharter(
                "the members agreed that every encrypted run has masks: set masks to true, or let "
                "all members sign a revision with `consortium charter revise --without-masks`"
            )
        floors = charter.floors
        if not floors.smallest_scale <= config.first_scale <= floors.largest_scale:
            raise OutsideCharter(
                f"first-scale={config.first_scale} is not between the charter's "
                f"{floors.smallest_scale} and {floors.largest_scale}"
            )

    def notes(self, config: RunConfig, charter: Charter) -> Sequence[str]:
        """Return that one member is enough for the coordinator to open an upload."""
        return (
            "without masks the coordinator together with one member can open the upload of another",
        )

    def require_rule(self, config: RunConfig, charter: Charter, spec: RuleSpec) -> None:
        """Check that the members fill the buckets, and that all sites compute the same.

        Raises:
            TooManyBuckets: A bucket would hold too few sites.
            BadConfig: The rule or its pre-step differs between CPUs.
        """
        others = self.smallest_sum(charter) - 1
        require_buckets(config.buckets, len(charter.names), min_others=others)
        # Sites sign the digest of what they computed: one bit of difference, and no majority.
        if not spec.same_on_every_cpu:
            raise BadConfig(
                f"{spec.name} differs in the last bits between CPUs, and sites of an encrypted run "
                "must agree on all of them: choose mean, clipped-mean, coordinate-median, "
                "trimmed-mean or centered-clipping"
            )
        if config.rule.pre_step not in _SAME_ON_EVERY_CPU:
            raise BadConfig(
                f"rule.pre-step={config.rule.pre_step} runs in the clear only: under encryption "
                "the sites see bucket means, which are clipped to rule.clip-norm; choose none"
            )

    def voters(self, config: RunConfig, charter: Charter) -> int:
        """Return the buckets: the rule sees their means."""
        return config.buckets

    def voters_are_equal(self, config: RunConfig) -> bool:
        """Return whether there are several buckets: their means count the same."""
        return config.buckets > 1

    def smallest_consortium(self, config: RunConfig, charter: Charter, *, voters: int) -> int:
        """Return the fewest members that fill so many buckets."""
        return voters * self.smallest_sum(charter)

    def crowd(self, config: RunConfig, charter: Charter) -> int:
        """Return the sites in the smallest bucket."""
        # Sites are spread evenly, so no bucket holds fewer.
        return len(charter.names) // config.buckets

    def buckets(self, config: RunConfig) -> int:
        """Return the buckets."""
        return config.buckets

    def bytes_down(self, config: RunConfig, charter: Charter, *, dim: int, vectors: int) -> int:
        """Return the bytes of the state and of a sum for each bucket, from the second round on."""
        sent = learner_for(
            charter.task, charter.table, config.learning_with(charter.names)
        ).contribution
        placed = self.placement(
            config, charter, dim=sent.update_dim(dim), tally_size=sent.tally_size
        )
        return _NUMBER * dim * vectors + config.buckets * placed.sum_bytes

    def told_examples(self, examples: int, releases: Releases) -> int:
        """Return the exact number: it never leaves, it only gives the weight class."""
        return examples

    def introduced_examples(self, examples: int, releases: Releases) -> int:
        """Return 0: a weight shows in the receipts only, and there as a class."""
        return 0

    def pooled_tally(self, tally: Tally, *, records: int, releases: Releases) -> Tally:
        """Return the counts as they are."""
        return tally

    # What only encrypted modes have.

    def smallest_sum(self, charter: Charter) -> int:
        """Return how many sites each sum must hold at least: a site and enough others."""
        return charter.floors.min_others + 1

    def seal_parameters(self, config: RunConfig, charter: Charter) -> SealParameters:
        """Return the parameters of the ciphertexts, exact for sums over all members.

        Raises:
            UnsoundParameters: The set cannot be exact for so many members.
        """
        # For all members, whoever comes: noise and levels must hold for the largest sum there can
        # be.
        return PARAMETER_SETS[config.parameter_set](len(charter.names))

    def placement(
        self, config: RunConfig, charter: Charter, *, dim: int = 0, tally_size: int = 0
    ) -> Placement:
        """Return where an update and a tally stand in their ciphertexts."""
        parameters = self.seal_parameters(config, charter)
        return Placement(parameters=parameters, dim=dim, tally_size=tally_size)

    def weight_classes(self, config: RunConfig) -> tuple[int, ...]:
        """Return the weight classes that a run allows for updates."""
        # The largest class, because an update is multiplied by its class over 8: a smaller one
        # would lose levels.
        return WEIGHT_CLASSES[-1:] if config.weighting == "equal" else WEIGHT_CLASSES


def encryption_of(config: RunConfig) -> Encrypted:
    """Return the mode of an encrypted run; only what runs in one may ask."""
    mode = mode_of(config)
    if not isinstance(mode, Encrypted):
        raise TypeError(f"a run in mode '{mode.name}' has no ciphertexts")
    return mode
