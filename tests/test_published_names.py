"""Names that others read: on the wire, in files and in a shell; version 0.1.0 published them.

A class or a function may get another name, and moves in these tables; what it publishes does not.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import typer
from typer.main import get_command

from consortium.cli.main import app as operators
from privacy.differential.ledger_entries import Content
from privacy.errors import ConsortiumError
from scenarios.cli.main import app as experiments
from strategies.coordinator.messaging.events import RunEvent
from strategies.coordinator.messaging.reply_validation import SiteRefused

ROOT = Path(__file__).parents[1]
PACKAGES = ("privacy", "strategies", "sites", "consortium", "scenarios")

CODES = {
    "HubAway": "hub-away",
    "HubSumRefused": "hub-sum-refused",
    "NobodyAnswers": "hub-not-answering",
    "OtherAgreement": "other-agreement",
    "NotForAHub": "not-for-a-hub",
    "NoHubsThere": "no-hubs-there",
    "TooManyHubs": "too-many-hubs",
    "BadFrame": "bad-frame",
    "BadScenarioFile": "bad-scenario-file",
    "ConsortiumError": "consortium-error",
    "AlreadyAnswered": "already-answered",
    "AlreadyLed": "already-led",
    "AlreadyUp": "already-up",
    "AnotherCohort": "another-cohort",
    "AnotherFinalState": "another-final-state",
    "AnotherRoster": "another-roster",
    "AnotherRosterCounted": "another-roster-counted",
    "AnotherSetConfirmed": "another-set-confirmed",
    "AnswerForgotten": "answer-forgotten",
    "AuditChainBroken": "audit-chain-broken",
    "AuditLogUnavailable": "audit-log-unavailable",
    "BadAnnotations": "bad-annotations",
    "BadAgreement": "bad-agreement",
    "BadBudget": "bad-budget",
    "BadBundle": "bad-bundle",
    "BadCertificate": "bad-certificate",
    "BadCharter": "bad-charter",
    "BadCheckpoint": "bad-checkpoint",
    "BadConfig": "bad-config",
    "BadCompression": "bad-compression",
    "BadContribution": "bad-contribution",
    "BadDataSet": "bad-data-set",
    "BadDeviation": "bad-deviation",
    "BadEvent": "bad-event",
    "BadFhirMap": "bad-fhir-map",
    "BadOmopMap": "bad-omop-map",
    "BadCdmRows": "bad-cdm-rows",
    "BadIdentity": "bad-identity",
    "BadKit": "bad-kit",
    "BadModel": "bad-model",
    "BadNoise": "bad-noise",
    "BadOption": "bad-option",
    "BadPlan": "bad-plan",
    "BadPrivacyPlan": "bad-privacy-plan",
    "BadProgress": "bad-progress",
    "BadPublicHalf": "bad-public-half",
    "BadRunDirectory": "bad-run-directory",
    "BadRunState": "bad-run-state",
    "BadReading": "bad-reading",
    "BadResources": "bad-resources",
    "BadSchedulePlan": "bad-schedule-plan",
    "BadScoreBins": "bad-score-bins",
    "BadSentences": "bad-sentences",
    "BadSignature": "bad-signature",
    "BadSite": "bad-site",
    "BadState": "bad-state",
    "BadTable": "bad-table",
    "BadTarget": "bad-target",
    "BadTexts": "bad-texts",
    "BadTracker": "bad-tracker",
    "BrokenFile": "broken-file",
    "BrokenIob": "broken-iob",
    "BudgetExhausted": "budget-exhausted",
    "CampaignsUnavailable": "campaigns-unavailable",
    "CannotMonitor": "cannot-monitor",
    "CannotOpen": "cannot-open",
    "ChecksumFailed": "checksum-failed",
    "CheckAlarm": "check-alarm",
    "ColumnsDiffer": "columns-differ",
    "ColumnsNotAllowed": "columns-not-allowed",
    "ConfirmationsMissing": "confirmations-missing",
    "ConfirmedTwice": "confirmed-twice",
    "ContinuedElsewhere": "continued-elsewhere",
    "ControlRefused": "control-refused",
    "CrowdTooSmall": "crowd-too-small",
    "DataRefused": "data-refused",
    "DataSetRenamed": "data-set-renamed",
    "DatasetCorrupted": "dataset-corrupted",
    "DifferentReservation": "different-reservation",
    "DirectoryInUse": "directory-in-use",
    "DuplicateMember": "duplicate-member",
    "EarlierCharter": "earlier-charter",
    "EmptySite": "empty-site",
    "EmptyTable": "empty-table",
    "EncryptionRequired": "encryption-required",
    "EpochTooFar": "epoch-too-far",
    "EpsilonTooLarge": "epsilon-too-large",
    "EvaluatedBefore": "evaluated-before",
    "Expired": "expired",
    "ExposedSecret": "exposed-secret",
    "FieldOverflow": "field-overflow",
    "FolderInUse": "folder-in-use",
    "ForeignPairSecret": "foreign-pair-secret",
    "HelperDied": "helper-died",
    "ImpossibleCohort": "impossible-cohort",
    "ImpossibleState": "impossible-state",
    "ImpossibleTally": "impossible-tally",
    "Infeasible": "infeasible",
    "KeyBurned": "key-burned",
    "LaunchFailed": "launch-failed",
    "LayoutMismatch": "layout-mismatch",
    "LayoutNotAllowed": "layout-not-allowed",
    "LearnerNotAllowed": "learner-not-allowed",
    "LedgerBroken": "ledger-broken",
    "LedgerNotCompared": "ledger-not-compared",
    "LedgerRestored": "ledger-restored",
    "LedgerRolledBack": "ledger-rolled-back",
    "LogsDiffer": "logs-differ",
    "MalformedCiphertext": "malformed-ciphertext",
    "MalformedEnvelope": "malformed-envelope",
    "MalformedRecord": "malformed-record",
    "MalformedSecret": "malformed-secret",
    "MalformedSecretFile": "malformed-secret-file",
    "MaskNotJoined": "mask-not-joined",
    "MemoryDamaged": "memory-damaged",
    "MemoryUnavailable": "memory-unavailable",
    "MembersMissing": "members-missing",
    "MissingColumns": "missing-columns",
    "MissingFile": "missing-file",
    "MissingLibrary": "missing-library",
    "ModelNotAllowed": "model-not-allowed",
    "MomentsMismatch": "moments-mismatch",
    "NameTaken": "name-taken",
    "NeverCame": "never-came",
    "NoBucketDraw": "no-bucket-draw",
    "NoEpoch": "no-epoch",
    "NoExamples": "no-examples",
    "NoFinalState": "no-final-state",
    "NoLedger": "no-ledger",
    "NoLiarsThere": "no-liars-there",
    "NoLog": "no-log",
    "NoMajority": "no-majority",
    "NoOnnx": "no-onnx",
    "NoNoiseFits": "no-noise-fits",
    "NoOpener": "no-opener",
    "NoPersonalModel": "no-personal-model",
    "NoProposal": "no-proposal",
    "NoQuestionKey": "no-question-key",
    "NoRecords": "no-records",
    "NoSuchPeriod": "no-such-period",
    "NodeFailed": "node-failed",
    "NodeGone": "node-gone",
    "NonFinitePredictions": "non-finite-predictions",
    "NonFiniteUpdate": "non-finite-update",
    "NobodyHeldOut": "nobody-held-out",
    "NotAMember": "not-a-member",
    "NotATable": "not-a-table",
    "NotACoordinator": "not-a-coordinator",
    "NotAWitness": "not-a-witness",
    "NotAnOpener": "not-an-opener",
    "NotApproved": "not-approved",
    "NothingNew": "nothing-new",
    "NotAttested": "not-attested",
    "NotForSites": "not-for-sites",
    "NotInRoster": "not-in-roster",
    "NotOrdered": "not-ordered",
    "NotProbabilities": "not-probabilities",
    "NotReleased": "not-released",
    "NotReserved": "not-reserved",
    "NotResumable": "not-resumable",
    "NotTheSite": "not-the-site",
    "NothingToAccept": "nothing-to-accept",
    "NothingCounted": "nothing-counted",
    "NothingRuns": "nothing-runs",
    "NothingToJudge": "nothing-to-judge",
    "PeriodChanged": "period-changed",
    "PeriodWaits": "period-waits",
    "RecordsOfAnotherPeriod": "records-of-another-period",
    "SmallGroup": "small-group",
    "NothingWithheld": "nothing-withheld",
    "NothingToForget": "nothing-to-forget",
    "NothingSent": "nothing-sent",
    "NothingToPoison": "nothing-to-poison",
    "NothingToSum": "nothing-to-sum",
    "OpeningAlreadyAccepted": "opening-already-accepted",
    "OptimizerRefused": "optimizer-refused",
    "OptionRefused": "option-refused",
    "OtherBuckets": "other-buckets",
    "OtherCommitments": "other-commitments",
    "OtherSetConfirmed": "other-set-confirmed",
    "OtherSettings": "other-settings",
    "OtherSites": "other-sites",
    "OtherCharter": "other-charter",
    "OtherEncoder": "other-encoder",
    "OtherKeys": "other-keys",
    "OtherLayout": "other-layout",
    "OtherMap": "other-map",
    "OtherProgram": "other-program",
    "OtherTexts": "other-texts",
    "OutOfBounds": "out-of-bounds",
    "OutsideCharter": "outside-charter",
    "OutsideHours": "outside-hours",
    "OversizedBody": "oversized-body",
    "OwnPairKeyMissing": "own-pair-key-missing",
    "PairKeyUnknown": "pair-key-unknown",
    "PairKeyUsed": "pair-key-used",
    "PairSecretDisputed": "pair-secret-disputed",
    "PairSecretsMissing": "pair-secrets-missing",
    "PersonChangedSides": "person-changed-sides",
    "PersonOnBothSides": "person-on-both-sides",
    "PolicyUnreadable": "policy-unreadable",
    "PolicyViolation": "policy-violation",
    "PortTaken": "port-taken",
    "PrivacyRequired": "privacy-required",
    "QueryFailed": "query-failed",
    "QuestionNotAllowed": "question-not-allowed",
    "QuorumNotReached": "quorum-not-reached",
    "ReceiptAltered": "receipt-altered",
    "ReceiptMissing": "receipt-missing",
    "RecordWithoutSite": "record-without-site",
    "ReplyRefused": "reply-refused",
    "ReservationEnded": "reservation-ended",
    "RolledBack": "rolled-back",
    "RosterIncomplete": "roster-incomplete",
    "RoundConfirmed": "round-confirmed",
    "RoundVoid": "round-void",
    "RunExists": "run-exists",
    "RunFailed": "run-failed",
    "RunForgotten": "run-forgotten",
    "BadSchedule": "bad-schedule",
    "BadSearch": "bad-search",
    "NotTunable": "not-tunable",
    "NoTrialLeft": "no-trial-left",
    "RunParked": "run-parked",
    "SweepTooDear": "sweep-too-dear",
    "RunPaused": "run-paused",
    "RunWentOn": "run-went-on",
    "SecretExists": "secret-exists",
    "SecretMissing": "secret-missing",
    "SecretStays": "secret-stays",
    "SetAltered": "set-altered",
    "ShapesDiffer": "shapes-differ",
    "SharesUnreadable": "shares-unreadable",
    "SideKeyReplaced": "side-key-replaced",
    "Silent": "silent",
    "SiteError": "site-error",
    "SiteRefused": "site-refused",
    "SitesAwaited": "sites-awaited",
    "SlowTokenizer": "slow-tokenizer",
    "StaleEpoch": "stale-epoch",
    "StateDisputed": "state-disputed",
    "StateNotHeld": "state-not-held",
    "StatesDiffer": "states-differ",
    "StepOverflow": "step-overflow",
    "Stopped": "stopped",
    "SumAltered": "sum-altered",
    "SumOutOfBounds": "sum-out-of-bounds",
    "SumsMissing": "sums-missing",
    "TallyOutOfRange": "tally-out-of-range",
    "TallyOverflow": "tally-overflow",
    "TooFewLeftOut": "too-few-left-out",
    "TaskNotAllowed": "task-not-allowed",
    "TermsAltered": "terms-altered",
    "TooFewBuckets": "too-few-buckets",
    "TooFewConfirmations": "too-few-confirmations",
    "TooFewExamples": "too-few-examples",
    "TooFewFiles": "too-few-files",
    "TooFewOthers": "too-few-others",
    "TooFewRemain": "too-few-remain",
    "TooFewSites": "too-few-sites",
    "TooManyBuckets": "too-many-buckets",
    "TooManyBytes": "too-many-bytes",
    "TooManyLiars": "too-many-liars",
    "TooManyEvaluations": "too-many-evaluations",
    "TooManyDraws": "too-many-draws",
    "TooManyOpenings": "too-many-openings",
    "TooManyRounds": "too-many-rounds",
    "TooManyUploads": "too-many-uploads",
    "TooOften": "too-often",
    "TrafficUnavailable": "traffic-unavailable",
    "TrainedBySites": "trained-by-sites",
    "TrainedMeanwhile": "trained-meanwhile",
    "TrainingDiverged": "training-diverged",
    "TwoCommitments": "two-commitments",
    "TwoPairSecrets": "two-pair-secrets",
    "UnclippableModel": "unclippable-model",
    "UnclearMarks": "unclear-marks",
    "UndeclaredCategory": "undeclared-category",
    "UndeclaredLabel": "undeclared-label",
    "UndividedCorpus": "undivided-corpus",
    "UnfitEncoder": "unfit-encoder",
    "UnfitIntegers": "unfit-integers",
    "UnfitNumbers": "unfit-numbers",
    "UnfitSchema": "unfit-schema",
    "Unforeseen": "unforeseen",
    "UnknownAttack": "unknown-attack",
    "UnknownDataset": "unknown-dataset",
    "UnknownEncoder": "unknown-encoder",
    "UnknownFlower": "unknown-flower",
    "UnknownFormat": "unknown-format",
    "UnknownMember": "unknown-member",
    "UnknownMetric": "unknown-metric",
    "UnknownOption": "unknown-option",
    "UnknownQuestion": "unknown-question",
    "UnknownRule": "unknown-rule",
    "UnknownScenario": "unknown-scenario",
    "UnknownSide": "unknown-side",
    "UnknownSite": "unknown-site",
    "UnknownStream": "unknown-stream",
    "UnknownTag": "unknown-tag",
    "UnknownSubgroup": "unknown-subgroup",
    "UnknownTask": "unknown-task",
    "Unreadable": "unreadable",
    "UnreadablePairSecret": "unreadable-pair-secret",
    "UnreadableShare": "unreadable-share",
    "UnreadableSource": "unreadable-source",
    "Unsigned": "unsigned",
    "UnsoundParameters": "unsound-parameters",
    "UnusableKeys": "unusable-keys",
    "UnusablePairKey": "unusable-pair-key",
    "UpdatesRefused": "updates-refused",
    "UpstreamChanged": "upstream-changed",
    "WeakerUnit": "weaker-unit",
    "WeightsRefused": "weights-refused",
    "WrongAttempt": "wrong-attempt",
    "WrongBucket": "wrong-bucket",
    "WrongBundle": "wrong-bundle",
    "WrongCharter": "wrong-charter",
    "WrongCommitment": "wrong-commitment",
    "WrongDelivery": "wrong-delivery",
    "WrongDescriptor": "wrong-descriptor",
    "WrongEpoch": "wrong-epoch",
    "WrongLayout": "wrong-layout",
    "WrongOpening": "wrong-opening",
    "WrongPairKeys": "wrong-pair-keys",
    "WrongPurpose": "wrong-purpose",
    "WrongRecipient": "wrong-recipient",
    "WrongRound": "wrong-round",
    "WrongRun": "wrong-run",
    "WrongSeparator": "wrong-separator",
    "WrongShare": "wrong-share",
    "WrongState": "wrong-state",
    "WrongWeightClass": "wrong-weight-class",
}

# Two classes each, for one situation found at two places. The prefix says which end spoke: the
# coordinator records what it found itself as `wrong-charter`, and what a site refused for as
# `site-refused.wrong-charter`.
SHARED = {
    "not-a-member": ("privacy", "strategies"),
    "wrong-charter": ("privacy", "strategies"),
}

EVENTS = {
    "SitesJoined": "sites-joined",
    "StatisticsPooled": "statistics-pooled",
    "RoundStarted": "round-started",
    "SiteAnswered": "site-answered",
    "SiteUnchanged": "site-unchanged",
    "SiteQuarantined": "site-quarantined",
    "BucketRefused": "bucket-refused",
    "EvaluationWithheld": "evaluation-withheld",
    "SumConfirmed": "sum-confirmed",
    "StatisticsRecounted": "statistics-recounted",
    "SitesCompared": "sites-compared",
    "RoundFinished": "round-finished",
}

ENTRIES = {
    "Reserved": "reserved",
    "Used": "used",
    "Committed": "committed",
    "Released": "released",
}

COMMANDS = {
    "consortium": "audit charter coordinator encoder evaluate export monitor provision report "
    "resume run run-config site status stop wait watch",
    "consortium audit": "evidence program receipt show verify",
    "consortium charter": "new revise show sign",
    "consortium coordinator": "delete-uploads down init install key public renew up",
    "consortium site": "allow approve check code down forget init install ledger period preview "
    "public recount renew-node-key stop-all up",
    "scenario": "audit-sum check check-data compare describe doctor init inspect list monitor "
    "practice predict resume rules run sweep watch",
}


def kinds(kind: type[ConsortiumError] = ConsortiumError) -> Iterator[type[ConsortiumError]]:
    """Yield all kinds of errors of the packages, whose modules are loaded."""
    if kind.__module__.partition(".")[0] in PACKAGES:
        yield kind
    for one in kind.__subclasses__():
        yield from kinds(one)


@pytest.fixture(scope="module")
def errors() -> list[type[ConsortiumError]]:
    """All kinds of errors that the packages define, each once."""
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            importlib.import_module(module.name)
    return list(dict.fromkeys(kinds()))


def commands(group: Any) -> Iterator[tuple[str, str]]:
    """Yield the groups of a command line and the names in each."""
    context = click.Context(group)
    names = sorted(group.list_commands(context))
    yield group.name, " ".join(names)
    for name in names:
        inner = group.get_command(context, name)
        if hasattr(inner, "list_commands"):
            for path, known in commands(inner):
                yield f"{group.name} {path}", known


def test_every_error_leaves_under_the_code_that_was_published(
    errors: list[type[ConsortiumError]],
) -> None:
    assert {kind.__name__: kind.code for kind in errors} == CODES


def test_two_kinds_of_errors_share_a_code_only_where_they_always_did(
    errors: list[type[ConsortiumError]],
) -> None:
    places: dict[str, list[str]] = {}
    for kind in errors:
        places.setdefault(kind.code, []).append(kind.__module__.partition(".")[0])
    shared = {code: tuple(sorted(found)) for code, found in places.items() if len(found) > 1}
    assert shared == SHARED


def test_a_refusal_by_a_site_says_so_before_the_code() -> None:
    assert SiteRefused("wrong-charter", {}).code == "site-refused.wrong-charter"


def test_every_event_is_recorded_as_the_kind_that_was_published() -> None:
    assert {event.__name__: vars(event)["kind"] for event in get_args(RunEvent)} == EVENTS


def test_every_entry_of_a_ledger_is_written_as_the_kind_that_was_published() -> None:
    assert {entry.__name__: vars(entry)["kind"] for entry in get_args(Content)} == ENTRIES


@pytest.mark.parametrize(("app", "name"), [(operators, "consortium"), (experiments, "scenario")])
def test_every_command_is_typed_as_it_was_published(app: typer.Typer, name: str) -> None:
    group = get_command(app)
    group.name = name
    expected = {path: known for path, known in COMMANDS.items() if path.partition(" ")[0] == name}
    assert {path: known.split() for path, known in commands(group)} == {
        path: sorted(known.split()) for path, known in expected.items()
    }


def test_no_command_is_named_after_a_function() -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert any('.command("sign")' in path.read_text() for path in paths)
    assert [path.name for path in paths if ".command()" in path.read_text()] == []
