"""A run that waits for a site which is gone for good goes on without it, if all others sign that.

First a revision of the charter is drafted, which names the run and the state that it reached. Once
all who remain signed it and it is in force, another run goes on from that state. docs/protocol.md,
"Without a site that is gone".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.coordinator.resume import NotResumable
from consortium.modes.registry import mode_of
from consortium.provisioning.charter_drafts import ContinuedRun, revise_charter
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from privacy.errors import abbreviated_names, number_of
from privacy.protocol.masks.groups import confirmations_needed, witnesses
from strategies.coordinator.encrypted.progress import BadProgress, SealedStanding, read_standing
from strategies.coordinator.masked.progress import AWAITED_FILE, AwaitedSites


@dataclass(frozen=True, kw_only=True)
class WaitingRun:
    """A run that waits for some of its sites.

    Args:
        directory: Of the run.
        config: With which it was started.
        charter: Under which it was.
        standing: What its coordinator kept of how far it is.
        awaited: For whom it waits, and the state that the others signed.
    """

    directory: RunDirectory
    config: RunConfig
    charter: Charter
    standing: SealedStanding
    awaited: AwaitedSites

    @classmethod
    def read(cls, directory: RunDirectory, config: RunConfig) -> "WaitingRun":
        """Return the run in a directory, if it waits.

        Args:
            directory: Of a run that was interrupted.
            config: With which it was started.

        Raises:
            NotResumable: It has no masks, or did not come so far that it waits for a site.
            BadProgress: What was kept of it is damaged.
        """
        if not mode_of(config).masks_uploads:
            raise NotResumable(
                "only a run with masks waits for a site: this one goes on without who is missing, "
                "by `consortium resume` without --without"
            )
        charter, vault = Charter.read(directory.charter), EvidenceStore(directory.vault)
        try:
            standing = read_standing(vault.read, charter.fingerprint, config.num_server_rounds)
            kept = vault.read(f"round-{standing.request.server_round}/{AWAITED_FILE}")
        except (BadProgress, FileNotFoundError) as error:
            raise NotResumable(
                f"the run in {directory.path} does not say that it waits for a site: resume it "
                "first, so that all who are there answer; or start a new run if none of its "
                "rounds began"
            ) from error
        return cls(
            directory=directory,
            config=config,
            charter=charter,
            standing=standing,
            awaited=AwaitedSites.decode(kept),
        )

    @property
    def run(self) -> str:
        """The run id."""
        return self.standing.opening.run

    @property
    def rounds_done(self) -> int:
        """How many rounds moved the model."""
        return self.standing.request.server_round - 1

    def revision(self, without: Sequence[str]) -> Charter:
        """Return the draft of the charter under which the run goes on without some sites.

        Raises:
            NotResumable: The run waits for others, too, too few remain, or they did not agree on a
                state.
            UnknownMember: One of these sites is no member.
            BadCharter: The revision is not a valid charter.
            OutsideCharter: The run needs more sites than remain.
        """
        waits = sorted({*self.awaited.sites} - {*without})
        if waits:
            raise NotResumable(
                f"the run also waits for {abbreviated_names(waits)}: bring them back and resume, "
                "so that they reach the state from which it goes on, or leave them out as well"
            )
        if not self.awaited.state:
            raise NotResumable(
                "not more than half of the sites signed one state: see who was left out, and "
                "start a new run"
            )
        self._require_enough([name for name in self.charter.names if name not in without])
        draft = revise_charter(
            self.charter,
            without=without,
            keep_statistics=True,
            continued=ContinuedRun(run=self.run, state=self.awaited.state.hex()),
        )
        mode_of(self.config).require_agreed(self.next_config(draft), draft)
        return draft

    def next_config(self, charter: Charter) -> RunConfig:
        """Return the config of the run that goes on under a charter: of the rounds that are left.

        A run that waits in its last evaluation trains one round more: nothing else evaluates.
        """
        rounds = max(1, self.config.num_server_rounds - self.rounds_done)
        return RunConfig.parse(
            {
                **self.config.flat(),
                "continues": self.run,
                "num-server-rounds": rounds,
                "quorum": min(self.config.quorum, len(charter.names)),
                "without": "",
            }
        )

    def goes_on_under(self, charter: Charter, without: Sequence[str]) -> bool:
        """Return whether a charter in force says that this run goes on without these sites."""
        left = {*self.charter.names} - {*charter.names}
        return charter.continues == self.run and left == {*without}

    def what_shows(self, without: Sequence[str]) -> Iterator[str]:
        """Yield what follows for who is left out, and what all sign, a sentence each."""
        named, rounds = abbreviated_names(sorted(without)), number_of(self.rounds_done, "round")
        yield (
            f"it goes on from the state after {rounds}, which the sites that remain signed: "
            f"{self.awaited.state.hex()}"
        )
        yield (
            f"what this lets be estimated: the sums so far hold {named}, and the later ones do "
            "not. From their difference the coordinator in league with members can estimate the "
            f"last update of {named} (cosine 0.9 with the true one, if one site leaves), and every "
            "reader of the evaluations before and after can estimate its held-out counts. No sum "
            "is made twice from one state, so neither follows exactly"
        )
        yield (
            "statistics of training records stay those of all, as they were counted; what "
            f"{named} sealed in the round that waits stays noise"
        )
        for site in sorted({*without} - {*self.awaited.sites}):
            yield f"{site} answered in this round: the run does not wait for it"

    def _require_enough(self, remaining: Sequence[str]) -> None:
        roster = self.standing.opening.terms.roster
        confirming = witnesses(roster)
        needed = confirmations_needed(len(confirming), self.charter.num_colluders)
        remain = {*confirming}.intersection(remaining)
        if len(remain) < needed or 2 * len({*roster}.intersection(remaining)) <= len(roster):
            raise NotResumable(
                f"{number_of(needed, 'site')} that confirm sums, and more than half of all, must "
                "remain: among fewer, nobody may know of a sum that was opened. Bring others "
                "back, or start a new run",
                needed=needed,
                came=len(remain),
            )
