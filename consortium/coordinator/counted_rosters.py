"""For which sites together a coordinator summed a charter's statistics: for no others near them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.run.directory import RunDirectory
from privacy.errors import abbreviated_names
from privacy.storage.durable_files import replace_atomically
from strategies.coordinator.encrypted.parameters import RoundVoid


class AnotherRosterCounted(RoundVoid, code="another-roster-counted"):
    """This coordinator summed the statistics of a charter for another roster before."""


@dataclass(frozen=True)
class CountedRosters:
    """The rosters whose statistics a coordinator summed, by the fingerprint of the charter.

    A site is bound to a roster once it opened its sum. Who of them did, the coordinator does not
    see; so it shows no second one whose difference to the first would be that of single sites.

    Args:
        path: The file; None if nothing is remembered.
    """

    path: Path | None

    @classmethod
    def of(cls, run: RunDirectory) -> "CountedRosters":
        """Return those of the coordinator that leads a run.

        A run on one machine has a charter of its own, so nothing is remembered of it.
        """
        return cls(run.counted_rosters if run.order.exists() else None)

    def first_of(self, charter: str) -> tuple[str, ...]:
        """Return for whom a charter's statistics were summed first; nobody if they were not."""
        held = self._read().get(charter, [])
        return tuple(held[0]) if held else ()

    def claim(self, charter: str, roster: Sequence[str]) -> None:
        """Remember that a charter's statistics are summed for a roster, before they are shown.

        Raises:
            AnotherRosterCounted: They were for another one that has some of its sites.
        """
        if self.path is None:
            return
        held = self._read()
        mine, before = sorted(roster), held.setdefault(charter, [])
        for other in before:
            if other != mine and {*other} & {*mine}:
                raise AnotherRosterCounted(
                    "the training records of this charter were counted in an earlier run, for "
                    f"{abbreviated_names(other)}, and some of these sites may have opened the sum: "
                    "resume that run, or run with the same sites, or let them sign the charter's "
                    "next revision"
                )
        if mine not in before:
            before.append(mine)
            with replace_atomically(self.path) as file:
                json.dump(held, file)

    def _read(self) -> dict[str, list[list[str]]]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            read = json.loads(self.path.read_text(encoding="utf-8"))
            return {str(charter): [list(one) for one in read[charter]] for charter in read}
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise AnotherRosterCounted(
                f"{self.path} cannot be read, so nobody knows whose records were counted together: "
                "restore it, or let the members sign the charter's next revision"
            ) from error
