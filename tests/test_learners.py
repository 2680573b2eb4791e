"""A learner is a type: one that counts is a module and two lines, and runs in either mode."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flwr.app import ArrayRecord, Context, RecordDict

from consortium.charter.document import Floors
from consortium.client.policy_gate import gate_of
from consortium.config import BadConfig, Scalar
from consortium.coordinator.assembly import clear_strategy
from consortium.model.files import read_model
from consortium.protocol.parameters import step_of
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from consortium.site import policy_templates
from consortium.site.site import site_of
from privacy.layout import Vector
from privacy.policy import document
from privacy.policy.violations import NotReleased
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.scenario import Scenario
from sites.learners import registry
from sites.schema.tables import Number
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.plaintext.parameters import Progress
from strategies.model_state import encode
from tests.bin_means import BINS, BinMeans, BinMeansTask
from tests.decisions import decide
from tests.small_consortium import (
    NAMES,
    TABLE,
    Consortium,
    Course,
    Passing,
    Place,
    as_it_is,
    configured,
    forget_processes,
    read_reply,
    read_round,
    receipts_of,
    records,
    refusal,
    spoiled,
    with_receipts,
)

ROOT = Path(__file__).parents[1]
PACKAGES = ("consortium", "privacy", "scenarios", "sites", "strategies")
SCENARIO = Scenario(
    name="bin-means",
    title="Shares by bin",
    story="Four sites count.",
    task="diagnosis",
    table=TABLE,
    sites=NAMES,
    run_config={"num-server-rounds": 2, "deadline-s": 1.0, "join-deadline-s": 1.0},
    records=lambda: pd.concat([records(name) for name in NAMES], ignore_index=True),
    site_of_row=lambda frame: frame["person"].str.split("-").str[0],
)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the learner in the places that the registry and the policies have for it."""
    monkeypatch.setattr(registry, "_OF_TASK", {"diagnosis": BinMeans})
    known = (*document.LEARNERS, "bin-means")
    monkeypatch.setattr(document, "LEARNERS", known)
    monkeypatch.setattr(policy_templates, "LEARNERS", known)
    forget_processes()
    yield
    forget_processes()


def run_in(folder: Path, **chosen: Scalar) -> tuple[Summary, dict[str, Vector]]:
    """Return the summary of a run, and the state that each site was left with."""
    run = RunDirectory(folder)
    folder.mkdir()
    named = {key.replace("_", "-"): value for key, value in chosen.items()}
    order = ScenarioRun(scenario=SCENARIO, config=SCENARIO.config_with(named))
    summary = run_scenario(order, run)
    return summary, {name: read_model(run.site(name) / "model").vector for name in NAMES}


def pooled_shares(run: RunDirectory) -> Vector:
    """Return what the learner computes from the training records of all sites in one place."""
    age = next(item for item in TABLE.features if isinstance(item, Number))
    bins, labels = [], []
    for name in NAMES:
        site = site_of(context_of(run.site(name)))
        table = site.data.training  # type: ignore[attr-defined]  # a table's records
        bins.append(((table.columns["age"] - age.low) / (age.high - age.low) * BINS).astype(int))
        labels.append(table.labels)
    where, labelled = np.concatenate(bins), np.concatenate(labels)
    positives = np.array([labelled[where == one].sum() for one in range(BINS)], np.float64)
    counted = np.array([(where == one).sum() for one in range(BINS)], np.float64)
    shares = np.divide(positives, counted, out=np.zeros(BINS), where=counted > 0)
    return shares.astype(np.float32).astype(np.float64)


def context_of(directory: Path) -> Context:
    config = SCENARIO.config_with({"num-server-rounds": 2})
    return Context(1, 1, {"site-dir": str(directory)}, RecordDict(), config.flat())


@pytest.mark.usefixtures("counting")
def test_a_run_of_counts_is_the_pooled_computation_to_the_bit_in_either_mode(
    tmp_path: Path,
) -> None:
    clear, open_states = run_in(tmp_path / "clear")
    sealed, sealed_states = run_in(tmp_path / "sealed", aggregation="encrypted")
    pooled = pooled_shares(RunDirectory(tmp_path / "clear"))
    for name in NAMES:
        assert open_states[name][:BINS].tobytes() == pooled.tobytes()
        assert open_states[name][BINS:].tolist() == [2.0]  # one for each round
        assert sealed_states[name].tobytes() == open_states[name].tobytes()
        written = RunDirectory(tmp_path / "sealed").site(name) / "model" / "shares.json"
        assert json.loads(written.read_text()) == pooled.tolist()  # for other programs
    assert 0 < pooled.mean() < 1
    assert (clear.status, sealed.status) == ("finished", "finished")
    assert clear.model_digest == sealed.model_digest
    assert clear.metrics == sealed.metrics
    assert clear.metrics["roc_auc"].value > 0.5
    assert not clear.quarantined
    assert not sealed.quarantined


@pytest.mark.usefixtures("counting")
def test_a_round_of_counts_waits_for_every_site_of_the_run(tmp_path: Path) -> None:
    """Exact sums over one roster, then over another, would show the site in between."""
    consortium = Consortium.placed(tmp_path / "run")
    seen: list[int] = []

    def silent_once(passing: Passing) -> RecordDict:
        late = (passing.site, passing.kind, passing.number) == ("west", "train", 2)
        if passing.kind == "train" and passing.number == 2 and late and not seen:
            seen.append(1)
            return spoiled(passing.content, upload=b"")
        return as_it_is(passing)

    course = consortium.start(up=silent_once, num_server_rounds=2)
    assert course.error is None, course.error
    assert seen == [1]
    assert (2, "west", "nothing-sent") in course.quarantined
    asked = [read_round(one.content) for one, _ in course.answers("train")]
    attempts = {one.server_round: one.attempt for one in asked}
    assert attempts == {1: 1, 2: 2}
    final = [read_round(one.content) for one, _ in course.answers("evaluate")]
    assert {tuple(receipts_of(one)) for one in final} == {NAMES}
    assert set(consortium.audited().values()) == {""}


@pytest.mark.usefixtures("counting")
def test_a_run_of_counts_stops_where_a_site_stays_away(tmp_path: Path) -> None:
    consortium = Consortium.placed(tmp_path / "run")

    def silent(passing: Passing) -> RecordDict:
        away = passing.site == "west" and passing.kind == "train"
        return spoiled(passing.content, upload=b"") if away else as_it_is(passing)

    course = consortium.start(up=silent, num_server_rounds=1, attempts=2)
    assert isinstance(course.error, RoundVoid)
    assert not course.answers("evaluate")


@pytest.mark.usefixtures("counting")
def test_no_site_opens_a_sum_over_fewer_sites(tmp_path: Path) -> None:
    """Whatever a hostile coordinator says came about."""
    consortium = Consortium.placed(tmp_path / "run")
    course = consortium.start(photographed=tmp_path / "moments", num_server_rounds=2)
    moment = course.moments["east", "train", 2]
    fewer = [one for name, one in receipts_of(moment.request).items() if name != "west"]
    place = moment.again(tmp_path / "again")
    forget_processes()
    answer = place.refusal("train", with_receipts(moment.request, fewer))
    assert answer == "roster-incomplete"


@pytest.mark.usefixtures("counting")
def test_a_receipt_of_counts_tells_nothing_of_a_sites_size(tmp_path: Path) -> None:
    course = Consortium.placed(tmp_path / "run").start(num_server_rounds=1)
    (asked, answer) = course.answers("evaluate")[0]
    classes = {one.label.weight_class for one in receipts_of(read_round(asked.content)).values()}
    assert classes == {1}
    assert read_reply(answer).model


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize(
    "chosen",
    [
        {"rule.name": "coordinate-median", "weighting": "equal"},
        {"rule.pre-step": "norm-clipping"},
        {"buckets": 2, "weighting": "equal"},
        {"fraction": 0.75},
        {"server-optimizer.name": "adam"},
        {"dp.unit": "record", "dp.epsilon": 1.0},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_what_only_updates_have_is_refused_at_both_ends(chosen: dict[str, Scalar]) -> None:
    key = next(iter(chosen))
    charter, layout = SCENARIO.charter, BinMeansTask(None).layout  # type: ignore[arg-type]
    with pytest.raises(BadConfig, match=f"bin-means sends exact tallies.*{key} to "):
        clear_strategy(
            configured({**chosen, "aggregation": "clear"}),
            charter,
            "run-1",
            observe=lambda _event: None,
            keep=lambda _progress: None,
        )
    with pytest.raises(BadConfig, match="exact tallies"):
        step_of(configured(chosen), charter, layout)


@pytest.fixture
def openly(tmp_path: Path, counting: None) -> Consortium:
    """A consortium whose runs may be in the clear."""
    return Consortium.placed(tmp_path / "run", floors=Floors(full_class_examples=40))


def counted(place: Place, server_round: int = 1) -> RecordDict:
    """Return what a site answers in a round in the clear."""
    task = place.site.task
    stands = messages.Position(
        charter=place.site.charter.fingerprint,
        run="run-1",
        server_round=server_round,
        state=np.zeros(task.layout.dim),
        statistics=np.zeros(task.statistics.layout.size, np.int64),
    )
    return place.ask("train", messages.position(stands))


def test_counts_of_too_few_records_leave_as_zeros_or_not_at_all(openly: Consortium) -> None:
    place = openly.place("east", aggregation="clear")
    arrays, _ = wire.arrays_and_facts(counted(place))
    assert np.frombuffer(arrays["summed"].data, "<i8").any()
    decide(place.directory, releases={"minimum_pooled": 10_000})
    assert refusal(counted(place)) == "not-released"  # kept from before
    arrays, _ = wire.arrays_and_facts(counted(place, 2))
    assert not np.frombuffer(arrays["summed"].data, "<i8").any()


def test_a_site_counts_for_no_run_that_promises_noise_in_the_clear(openly: Consortium) -> None:
    """No learner that counts adds any: its coordinator was to refuse such a run."""
    noisy: dict[str, Scalar] = {"aggregation": "clear", "dp.unit": "record", "dp.epsilon": 1.0}
    place = openly.place("east", **noisy)
    assert refusal(counted(place)) == "bad-config"


def test_of_a_learner_that_counts_exactly_its_tally_may_leave(openly: Consortium) -> None:
    place = openly.place("east", aggregation="clear")
    form = gate_of(place.site).reply_forms["train"]
    answer = counted(place)
    form.require(answer)
    arrays, facts = wire.arrays_and_facts(answer)
    longer = wire.tally_array(np.ones(2 * BINS + 1, np.int64))
    update = wire.vector_array(np.ones(place.site.task.layout.dim))
    for changed in (
        {**arrays, "summed": longer},
        {**arrays, "summed": update},
        {**arrays, "update": update},
        {"tally": arrays["tally"], "update": update},
        {"tally": arrays["tally"]},
    ):
        with pytest.raises(NotReleased):
            form.require(RecordDict({wire.ARRAYS: ArrayRecord(changed), wire.FACTS: facts}))


def test_a_tally_that_no_site_can_have_counts_for_nothing(openly: Consortium) -> None:
    """In the clear its site is left out; the sum is that of the others."""
    course, kept = Course(), list[Progress]()
    config = configured({"aggregation": "clear", "num-server-rounds": 1})

    def lying(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("west", "train"):
            return as_it_is(passing)
        arrays, facts = wire.arrays_and_facts(passing.content)
        huge = wire.tally_array(np.full(2 * BINS, 2**25 + 1))
        return RecordDict({wire.ARRAYS: ArrayRecord({**arrays, "summed": huge}), wire.FACTS: facts})

    strategy = clear_strategy(
        config, openly.charter, "run-1", observe=course.events.append, keep=kept.append
    )
    strategy.start(openly.bus(course, config, up=lying), 1)
    assert course.quarantined == {(1, "west", "sum-out-of-bounds")}
    assert 0 < kept[-1].state.vector[:BINS].max() <= 1


def test_a_run_of_counts_goes_on_from_what_it_kept_to_the_same_state(openly: Consortium) -> None:
    course, kept = Course(), list[Progress]()
    config = configured({"aggregation": "clear", "num-server-rounds": 3})
    for since in (None, 1):
        strategy = clear_strategy(
            config, openly.charter, "run-1", observe=course.events.append, keep=kept.append
        )
        bus = openly.bus(course, config)
        strategy.start(bus, 3, since=None if since is None else kept[since])
    assert [one.state.server_round for one in kept] == [0, 1, 2, 3, 2, 3]
    assert encode(kept[-1].state) == encode(kept[3].state)
    assert kept[-1].state.vector[-1] == 3.0


def test_a_site_that_counts_never_loads_torch(tmp_path: Path) -> None:
    """In a fresh process of a tree where the learner was added: its module, and two lines."""
    tree, run = tmp_path / "tree", tmp_path / "run"
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package)
    shutil.copy(ROOT / "tests" / "bin_means.py", tree / "sites" / "learners" / "bin_means.py")
    added = tree / "sites" / "learners" / "registry.py"
    own = "_OF_TASK = MappingProxyType({**_OF_TASK, 'diagnosis': BinMeans})"
    imported = "from sites.learners.bin_means import BinMeans"
    added.write_text(f"{imported}\n{added.read_text()}\n{own}\n")
    allowed = tree / "privacy" / "policy" / "document.py"
    before = allowed.read_text()
    after = before.replace('= ("gradient", "describe"', '= ("gradient", "bin-means", "describe"')
    assert after != before
    allowed.write_text(after)
    consortium = Consortium.placed(run, floors=Floors(full_class_examples=40))
    site = consortium.run.site("east")
    policy = json.loads((site / "policy.json").read_text())
    (site / "policy.json").write_text(json.dumps({**policy, "learners": ["bin-means"]}))
    done = subprocess.run(
        [sys.executable, "-c", _ANSWERING, str(site), str(2 * BINS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tree), "PATH": "", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["learner"] == "sites.learners.bin_means"
    assert told["records"] > 0
    assert told["loaded"] == []


_ANSWERING = """
import json, sys
import numpy as np
from flwr.app import Context, Message, RecordDict
from consortium.client_app import app
from consortium.config import RunConfig
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from consortium.site.site import site_of
from sites.tasks.registry import load_libraries

directory, size = sys.argv[1], int(sys.argv[2])
config = RunConfig.parse({"num-server-rounds": 1, "model": "logistic"}).flat()
context = Context(1, 1, {"site-dir": directory}, RecordDict(), config)
InProcessGrid({}, 0, {})
site = site_of(context)
# As a deployed site does beforehand.
load_libraries(site.charter.task, site.charter.table, learning=False)
charter = site.charter.fingerprint

def ask(kind, content):
    return app(Message(content, 1, kind), context).content

ask("query.hello", messages.greeting(charter, bytes(32)))
statistics_size = site.task.statistics.layout.size
counted = messages.read_counts(
    ask("query.statistics", messages.question(charter)), tally_size=statistics_size
)
stands = messages.Position(
    charter=charter,
    run="run",
    server_round=1,
    state=np.zeros(site.task.layout.dim),
    statistics=counted.tally,
)
evaluated = site.task.evaluation.layout.size
sent = messages.read_contribution(
    ask("train", messages.position(stands)),
    dim=site.task.layout.dim,
    tally_size=evaluated,
    max_examples=10**6,
    summed_size=size,
)
messages.read_counts(ask("evaluate", messages.position(stands)), tally_size=evaluated)
print(json.dumps({
    "learner": type(site.task).__module__,
    "records": int(sent.summed[: size // 2].sum()),
    "loaded": sorted({"torch", "transformers", "dp_accounting"} & set(sys.modules)),
}))
"""

LEARNERS = ("Gradient", "UpdateVector", "ExactTally", "Learner")


def asks_for_a_learner(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that ask which learner it is: by its type, by its name, or by matching."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass")) if _names_a_learner(node):
                yield node.lineno
            case ast.MatchClass(cls=ast.Name(id=kind)) if kind in LEARNERS:
                yield node.lineno
            case ast.Compare() if any(_is_learners_name(one) for one in ast.walk(node)):
                yield node.lineno


def _names_a_learner(node: ast.AST) -> bool:
    return any(isinstance(one, ast.Name) and one.id in LEARNERS for one in ast.walk(node))


def _is_learners_name(node: ast.AST) -> bool:
    """Return whether an expression is the name of a learner, or a text that is one."""
    match node:
        case ast.Attribute(attr="name", value=ast.Name(id="learner")):
            return True
        case ast.Attribute(attr="name", value=ast.Attribute(attr="learner")):
            return True
        case ast.Constant(value="gradient" | "bin-means"):
            return True
    return False


def test_nobody_asks_which_learner_it_is() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line in asks_for_a_learner(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "asking",
    [
        "isinstance(one, Gradient)",
        "isinstance(one, int | ExactTally)",
        "learner.name == 'glm'",
        "site.learner.name in names",
        "kind == 'gradient'",
        "match one:\n    case UpdateVector():\n        pass",
    ],
)
def test_who_asks_is_found(asking: str) -> None:
    assert list(asks_for_a_learner(ast.parse(asking)))
