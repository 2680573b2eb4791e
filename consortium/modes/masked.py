"""An encrypted run with masks: the coordinator together with a few sites opens no upload."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.contract import LeagueTerms, OutsideCharter
from consortium.modes.encrypted import Encrypted
from privacy.errors import number_of
from privacy.protocol.masks.groups import (
    MOST_WITNESSES,
    can_be_stopped,
    confirmations_needed,
    num_deaths_borne,
    smallest_sum,
)


class Masked(Encrypted):
    """Under the run's key, pairs of sites close each upload once more, with masks that cancel.

    What a mask hides opens only in a sum that enough sites have signed before.
    """

    name: ClassVar[str] = "masked"
    masks_uploads: ClassVar[bool] = True
    who_reads: ClassVar[str] = (
        "The coordinator added ciphertexts. It could read neither updates nor the model. In league "
        "with as many sites as the charter allows for, it could not read the update of another."
    )

    def league_terms(self, charter: Charter, *, noun: str, nouns: str, noise: bool) -> LeagueTerms:
        """Return what up to `max_colluders` members cannot read, and what is not claimed of it."""
        league = number_of(charter.num_colluders, noun)
        up_to = league if charter.num_colluders == 1 else f"up to {league}"
        closed = (
            f"The coordinator together with {up_to} could read neither the update nor the counts "
            f"of another {noun}: masks between each two {nouns} closed its upload once more, and "
            f"came off a sum only after enough {nouns} had signed that one."
        )
        more = (
            f"With more than {league} in league this does not hold. Nor is it claimed of what the "
            "sums and the model say, of several runs, or of keys that were stolen."
        )
        over_rounds = (
            f"Rounds could sum different {nouns}: the coordinator in league with others can "
            f"estimate the update of a {noun} that it left out of one round."
        )
        one_set = charter.sums_one_set(noise=noise)
        not_closed = (more,) if one_set else (more, over_rounds)
        return LeagueTerms(closed=(closed,), not_closed=not_closed)

    def require_agreed(self, config: RunConfig, charter: Charter) -> None:
        """Check that the charter has keys for masks, and that sums hold enough sites for them.

        Raises:
            OutsideCharter: It has none; or the run, or a bucket of it, has too few sites; or a
                round asks only some of them where each bucket sums one set; or the run goes on from
                another one than the charter says.
        """
        super().require_agreed(config, charter)
        if not charter.has_keys_for_masks:
            raise OutsideCharter(
                f"the charter's suite is {charter.pair_suite}, which has no masks: set masks to "
                "false, or let all members sign a revision with another suite"
            )
        floor, roster = self.smallest_sum(charter), _num_sites(config, charter)
        if roster // config.buckets < floor:
            raise OutsideCharter(
                f"masks need {number_of(floor, 'site')} or more in each bucket: "
                f"max_colluders={charter.num_colluders} and 2 others, or "
                f"min_others={charter.floors.min_others} and the reader. This run has "
                f"{number_of(roster, 'site')} in {number_of(config.buckets, 'bucket')}: lower "
                "buckets or invite more members"
            )
        if self.sums_one_set(config, charter) and config.fraction < 1:
            raise OutsideCharter(
                f"fraction={config.fraction} asks only some of the sites in a round, and under "
                "this charter a bucket sums the same sites in all rounds: set fraction to 1, or "
                "let all members sign a revision with `consortium charter revise --sets-in-run any`"
            )
        _require_continued(config, charter)

    def notes(self, config: RunConfig, charter: Charter) -> Sequence[str]:
        """Return which deaths are borne, who could stop the run, and what its sums would show."""
        return tuple(self._notes(config, charter))

    def _notes(self, config: RunConfig, charter: Charter) -> Iterator[str]:
        witnesses = min(_num_sites(config, charter), MOST_WITNESSES)
        colluders, needed = charter.num_colluders, self.confirmations_needed(config, charter)
        borne = num_deaths_borne(witnesses, colluders)
        yield (
            f"masks: {needed} of {number_of(witnesses, 'site')} confirm each sum before it opens"
            + (
                f"; {borne} may be away once all have sent, and the run waits if more are"
                if borne
                else ", so the run waits for each of them"
            )
        )
        if can_be_stopped(witnesses, colluders):
            yield (
                f"{number_of(colluders, 'member')} in league can stop the run by confirming "
                f"nothing; among {3 * colluders + 1} sites or more they could not"
            )
        if self.sums_one_set(config, charter):
            yield (
                "a bucket sums the same sites in all rounds: who is gone is waited for, and nobody "
                "joins late"
            )
            return
        bounded = config.privacy.offered is not None
        yield (
            "rounds may sum different sites: the coordinator with members in league can estimate "
            "the update of a site that it leaves out of one round"
            + (", which carries noise" if bounded else " (cosine 0.9 with the true one)")
        )

    def smallest_sum(self, charter: Charter) -> int:
        """Return how many sites each sum must hold, so that two of them are honest."""
        return smallest_sum(charter.num_colluders, charter.floors.min_others)

    # What only masked runs have.

    def sums_one_set(self, config: RunConfig, charter: Charter) -> bool:
        """Return whether a bucket sums the same sites in all rounds of a run."""
        return charter.sums_one_set(noise=config.privacy.offered is not None)

    def confirmations_needed(self, config: RunConfig, charter: Charter) -> int:
        """Return how many witnesses confirm a sum, if all members come that are not left out."""
        witnesses = min(_num_sites(config, charter), MOST_WITNESSES)
        return confirmations_needed(witnesses, charter.num_colluders)


def _require_continued(config: RunConfig, charter: Charter) -> None:
    """Check that a run goes on from no other one than all members signed, and with all of them."""
    if not config.continues:
        return
    if config.continues != charter.continues:
        raise OutsideCharter(
            f"run {config.continues} goes on under a revision that says so, signed by all who "
            "remain: `consortium resume --without` drafts it"
        )
    if config.without:
        raise OutsideCharter(
            "all members of the charter go on together: clear without, or sign a revision without "
            "who is gone"
        )


def _num_sites(config: RunConfig, charter: Charter) -> int:
    """Return the members of a run; it may begin with fewer of them."""
    return len({*charter.names} - config.left_out)
