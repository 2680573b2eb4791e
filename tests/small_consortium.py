"""A consortium of real sites small enough for a run in a second, on a bus that may lie.

The apps, keys and files are those of a run between institutions; only the records are few. A
`Hook` sees, and may alter, any message to a site or from it: that is the hostile coordinator,
or the hostile site.
"""

import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from flwr.app import ConfigRecord, Context, Message, RecordDict

from consortium.audit.cross_check import gather_evidence
from consortium.audit.sum_verification import Auditor, SumCheck
from consortium.charter.document import Charter, Floors, Member
from consortium.client.encrypted.session import Session
from consortium.client.site_modes import encrypted_at_site
from consortium.client_app import app as client_app
from consortium.config import RunConfig, Scalar
from consortium.coordinator.assembly import encrypted_strategy
from consortium.run.directory import RunDirectory
from consortium.run.evidence_store import EvidenceStore
from consortium.run.records import write_record
from consortium.site.directory import SiteConfig
from consortium.site.person_sides import begin_sides, scenario_side_key
from consortium.site.policy_templates import for_a_scenario
from consortium.site.site import Site, site_of
from privacy.errors import ConsortiumError
from privacy.identity.log_signing_key import SigningKey
from privacy.protocol.envelope import Receipt
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import decode_receipts
from privacy.secrets.keys import Identity
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire import flower_records as wire
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from scenarios.engines.in_process import InProcessGrid
from sites.data.source import TableFile
from sites.schema.tables import Category, ClassLabel, Number, Schema
from strategies.coordinator.encrypted.progress import SealedProgress
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.messaging.events import RoundFinished, RunEvent, SiteQuarantined
from tests.receipts import encode_receipts
from tests.validated_once import validated_once

NAMES = ("east", "north", "south", "west")
SEALED = ("query.statistics", "query.confirm", "train", "evaluate", "query.release")
ROWS = 40
TABLE = Schema(
    name="small",
    person="person",
    features=(
        Number(name="age", low=0, high=100),
        Number(name="pressure", low=-9, high=9),
        Category(name="ward", values=("day", "night")),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
CONFIG: Mapping[str, Scalar] = {
    "aggregation": "encrypted",
    "model": "logistic",
    "batch-size": 8,
    "num-server-rounds": 3,
    "deadline-s": 0.001,
    "join-deadline-s": 0.001,
}
COORDINATOR = SigningKey(bytes(range(32)))  # a hostile coordinator signs what it alters
_NO_BOUND = 2**40


@dataclass(frozen=True, kw_only=True)
class Passing:
    """A message on its way to a site, or the site's answer.

    Args:
        site: The site's name.
        kind: Flower's message type.
        number: The round it is of, or -1 where it is of none.
        content: What it holds.
    """

    site: str
    kind: str
    number: int
    content: RecordDict


Hook: TypeAlias = Callable[[Passing], RecordDict]


def as_it_is(passing: Passing) -> RecordDict:
    """Alter nothing."""
    return passing.content


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A site just before a message, the message, and what it answered then.

    Args:
        asked: The message.
        answer: The answer.
        directory: A copy of the site's directory as it was.
        config: The run config.
    """

    asked: Passing
    answer: RecordDict
    directory: Path
    config: RunConfig

    def again(self, folder: Path) -> "Place":
        """Put the site back as it was, in a new folder, as a process that knows nothing yet."""
        shutil.copytree(self.directory, folder)
        return Place(folder, self.config)

    @property
    def request(self) -> SealedRound:
        """The message, read."""
        return read_round(self.asked.content)


@dataclass(frozen=True)
class Place:
    """One site's directory, to which messages can be put by hand."""

    directory: Path
    config: RunConfig

    @property
    def context(self) -> Context:
        """What Flower gives an app at this site."""
        return Context(1, 1, {"site-dir": str(self.directory)}, RecordDict(), self.config.flat())

    @property
    def site(self) -> Site:
        """The site as its app sees it."""
        return site_of(self.context)

    def ask(self, kind: str, content: RecordDict) -> RecordDict:
        """Return what the real app answers."""
        with validated_once():
            return client_app(message(kind, content), self.context).content

    def refusal(self, kind: str, content: RecordDict) -> str:
        """Return the code with which the site refuses, or nothing if it does not."""
        return refusal(self.ask(kind, content))

    def session(self, request: SealedRound) -> Session:
        """Return the site's session in the run of a request."""
        return encrypted_at_site(self.config).session(self.site, request)


@dataclass
class Course:
    """What a run left behind, whether it ended well or not."""

    events: list[RunEvent] = field(default_factory=list)
    seen: list[tuple[Passing, RecordDict]] = field(default_factory=list)
    moments: dict[tuple[str, str, int], Moment] = field(default_factory=dict)
    progress: SealedProgress | None = None
    error: ConsortiumError | None = None

    @property
    def quarantined(self) -> set[tuple[int, str, str]]:
        """Round, site and code of each quarantine."""
        told = [event for event in self.events if isinstance(event, SiteQuarantined)]
        return {(event.server_round, event.site, event.code) for event in told}

    @property
    def rounds(self) -> list[RoundFinished]:
        """The rounds that were finished, the final evaluation included."""
        return [event for event in self.events if isinstance(event, RoundFinished)]

    def answers(self, kind: str) -> list[tuple[Passing, RecordDict]]:
        """Return the messages of a kind with what was answered to each."""
        return [(asked, answer) for asked, answer in self.seen if asked.kind == kind]

    @property
    def model(self) -> str:
        """Digest of the final model, on which more than half of the sites agreed."""
        assert self.progress is not None, self.error
        return self.progress.model_digest

    @property
    def models(self) -> dict[str, bytes]:
        """What each site calls the final model."""
        return {
            asked.site: read_reply(answer).model
            for asked, answer in self.answers("evaluate")
            if not refusal(answer)
        }


@dataclass(frozen=True, kw_only=True)
class Consortium:
    """A charter with keys, and a directory for each site.

    Args:
        run: The directory of everything.
        charter: With the public halves of the keys.
    """

    run: RunDirectory
    charter: Charter

    @classmethod
    def placed(
        cls,
        folder: Path,
        names: Sequence[str] = NAMES,
        *,
        floors: Floors | None = None,
        coordinator_key: str = COORDINATOR.public.hex(),
        **agreed: Any,
    ) -> "Consortium":
        """Make the sites' directories, keys and records; `agreed` are more keys of the charter."""
        run = RunDirectory(folder)
        members = []
        for name in names:
            identity = Identity.generate(name)
            identity.write(run.site(name) / "secrets" / "identity.secret")
            members.append(Member.model_validate(identity.public.describe()))
        charter = Charter(
            name="small",
            task="diagnosis",
            table=TABLE,
            members=tuple(members),
            floors=floors or Floors(full_class_examples=40, encrypted=True),
            coordinator_key=coordinator_key,
            **agreed,
        )
        consortium = cls(run=run, charter=charter)
        for name in names:
            directory = run.site(name)
            path = directory / "data.parquet"
            records(name).to_parquet(path, index=False)
            write_record(
                directory / "site.json", SiteConfig(name=name, source=TableFile(path=path))
            )
            begin_sides(directory, scenario_side_key(7, name))
            charter.write(directory / "charter.json")
            for_a_scenario(charter).write(directory)
        return consortium

    def place(self, name: str, **overrides: Scalar) -> Place:
        """Return a site, to be asked by hand."""
        return Place(self.run.site(name), configured(overrides))

    def identity(self, name: str) -> Identity:
        """Return the secret keys of a site: what a hostile site has of itself."""
        return Identity.read(self.run.site(name) / "secrets" / "identity.secret", name=name)

    def strategy(self, course: Course, **overrides: Scalar) -> Encrypted:
        """Return the coordinator's strategy, whose events go to the course."""
        return encrypted_strategy(
            configured(overrides),
            self.charter,
            observe=course.events.append,
            keep=EvidenceStore(
                self.run.vault, keeps_all=configured(overrides).keep_uploads == "all"
            ).keep,
            reach=lambda _progress: None,
            sign=COORDINATOR.sign if self.charter.coordinator_key else None,
        )

    def start(
        self,
        *,
        down: Hook = as_it_is,
        up: Hook = as_it_is,
        photographed: Path | None = None,
        started: Callable[[InProcessGrid, Encrypted], None] = lambda _grid, _strategy: None,
        **overrides: Scalar,
    ) -> Course:
        """Run to the end, through hooks that may alter every message.

        Args:
            down: Alters what sites are asked.
            up: Alters what they answer.
            photographed: Where each site is copied before each message, or nowhere.
            started: Given the bus and the coordinator's strategy before anything happens.
            overrides: Of the run config; `_` for `-` in its keys.
        """
        course, config = Course(), configured(overrides)
        grid = self.bus(course, config, down=down, up=up, photographed=photographed)
        try:
            strategy = self.strategy(course, **overrides)
            started(grid, strategy)
            course.progress = strategy.start(grid, config.num_server_rounds)
        except ConsortiumError as error:
            course.error = error
        return course

    def bus(
        self,
        course: Course,
        config: RunConfig,
        *,
        down: Hook = as_it_is,
        up: Hook = as_it_is,
        photographed: Path | None = None,
    ) -> InProcessGrid:
        """Return the bus to the sites, through hooks; the course sees all that passes."""

        def app_of(name: str) -> Callable[[Message, Context], Message]:
            def app(asked: Message, context: Context) -> Message:
                context.node_config["site-dir"] = str(self.run.site(name))
                passing = passing_of(name, asked.metadata.message_type, asked.content)
                asked.content = down(passing)
                passing = passing_of(name, passing.kind, asked.content)
                copy = None if photographed is None else self._photograph(passing, photographed)
                with validated_once():
                    answered = client_app(asked, context)
                answer = up(replace(passing, content=answered.content))
                course.seen.append((passing, answer))
                if copy is not None:
                    key = (name, passing.kind, passing.number)
                    course.moments[key] = Moment(
                        asked=passing, answer=answer, directory=copy, config=config
                    )
                return Message(answer, reply_to=asked)

            return app

        names = self.charter.names
        apps = {index: app_of(name) for index, name in enumerate(names)}
        return InProcessGrid(apps, len(names), config.flat())

    def audited(self) -> dict[str, str]:
        """Return what the keyless auditor finds wrong with each sum that the coordinator kept."""
        return {name: one.deviation for name, one in self.verdicts(*self.charter.names).items()}

    def verdicts(self, *evidence: str) -> dict[str, SumCheck]:
        """Return what the auditor says of each sum, given the evidence of some sites."""
        return {
            f"{one.what} {one.server_round}": one for one in self.auditor(*evidence).check_sums()
        }

    def auditor(self, *evidence: str) -> Auditor:
        """Return the keyless auditor, with the evidence of some sites."""
        return Auditor(
            self.charter,
            configured({}),
            EvidenceStore(self.run.vault),
            gather_evidence([self.run.site(name) for name in evidence], self.charter),
        )

    def _photograph(self, passing: Passing, folder: Path) -> Path | None:
        if passing.kind not in SEALED:
            return None
        copy = folder / f"{passing.site}-{passing.kind}-{passing.number}"
        shutil.copytree(self.run.site(passing.site), copy, dirs_exist_ok=True)
        return copy


def rehearsed(folder: Path, *, masks: bool = False) -> tuple[Consortium, Course]:
    """Return a consortium, and a run of it in which nobody lied, with every moment of it."""
    consortium = Consortium.placed(folder / "run")
    course = consortium.start(photographed=folder / "moments", masks=masks)
    assert course.error is None, course.error
    assert not course.quarantined
    return consortium, course


def records(name: str, count: int = ROWS) -> pd.DataFrame:
    """Return the records of a site: a function of its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    age, pressure = rng.uniform(20, 80, count), rng.normal(0, 2, count)
    ill = rng.random(count) < 1 / (1 + np.exp(-(0.05 * (age - 50) + pressure)))
    return pd.DataFrame(
        {
            "person": [f"{name}-{index}" for index in range(count)],
            "age": age,
            "pressure": pressure.clip(-9, 9),
            "ward": rng.choice(["day", "night"], count),
            "ill": np.where(ill, "yes", "no"),
        }
    )


def configured(overrides: Mapping[str, Scalar]) -> RunConfig:
    """Return the run config with what differs from the small one; `_` stands for `-`."""
    named = {key.replace("_", "-"): value for key, value in overrides.items()}
    return RunConfig.parse({**CONFIG, **named})


def message(kind: str, content: RecordDict) -> Message:
    """Return a message as Flower delivers it."""
    InProcessGrid({}, 0, {})  # lets this process make messages
    return Message(content, 1, kind)


def passing_of(site: str, kind: str, content: RecordDict) -> Passing:
    """Return a message or answer with the round it says it is of."""
    facts = content.get(wire.FACTS)
    number = facts.get("round", -1) if isinstance(facts, ConfigRecord) else -1
    return Passing(site=site, kind=kind, number=int(str(number)), content=content)


def read_round(content: RecordDict) -> SealedRound:
    """Read a message of an encrypted run, whatever its size."""
    return SealedRound.read(content, sums_bytes=_NO_BOUND, count_bytes=_NO_BOUND)


def read_reply(content: RecordDict, *, tally_size: int = 0) -> SealedReply:
    """Read an answer of an encrypted run, whatever its size."""
    arrays, _ = wire.arrays_and_facts(content)
    size = arrays["tally"].shape[0] if "tally" in arrays else tally_size
    return SealedReply.read(content, upload_bytes=_NO_BOUND, count_bytes=_NO_BOUND, tally_size=size)


def refusal(content: RecordDict) -> str:
    """Return the code of a refusal, or nothing if the content is none."""
    read = wire.read_refusal(content)
    return read[0] if read else ""


def altered(content: RecordDict, **changes: Any) -> RecordDict:
    """Return a message of an encrypted run with some of its parts replaced, signed anew."""
    return signed(replace(read_round(content), **changes))


def signed(request: SealedRound) -> RecordDict:
    """Return a message as a coordinator sends it that signs whatever it says."""
    return request.with_signature(COORDINATOR.sign).content()


def spoiled(content: RecordDict, **changes: Any) -> RecordDict:
    """Return an answer of an encrypted run with some of its parts replaced."""
    return replace(read_reply(content), **changes).content()


def receipts_of(request: SealedRound) -> dict[str, Receipt]:
    """Return the receipts of the last round's updates, by site."""
    return {one.label.site: one for one in decode_receipts(request.receipts)}


def with_receipts(request: SealedRound, receipts: Sequence[Receipt]) -> RecordDict:
    """Return the message with other receipts, signed anew."""
    return signed(replace(request, receipts=encode_receipts(receipts)))


def opening_of(request: SealedRound) -> Opening:
    """Return the opening in a message."""
    return Opening.decode(request.opening)


def forget_processes() -> None:
    """Forget what a process keeps between messages, as if every site had restarted."""
    SITE_PROCESS.clear()
