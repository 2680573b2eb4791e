"""Run a consortium on this machine, from Python: what `scenario` does on the command line."""

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

import pandas as pd

from consortium.config import RunConfig, Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from privacy.errors import ConsortiumError, look_up, unknown_name
from privacy.storage.secret_files import make_private_directory
from scenarios.api.declaration import Consortium, Site, Sites, members_of
from scenarios.api.run import Run
from scenarios.engines.preconditions import require_runnable
from scenarios.engines.runner import RunFailed, ScenarioRun, do_nothing, run_scenario
from scenarios.engines.site_reports import DataRefused, refusal_texts
from scenarios.engines.staging import new_run_directory, require_sites
from scenarios.experiments.record_checks import check_sites
from scenarios.scenario import ENGINES, Engine, Scenario
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import SweepDirectory
from scenarios.sweep.search.space import parse_searches
from scenarios.user_data.scenario_file import named_scenario_with_data
from scenarios.user_data.sources import notes_on, source_for
from sites.data.source import DataSource
from sites.schema.texts import AnySchema

if TYPE_CHECKING:
    from scenarios.sweep.tuned_arms import TunedArms

RUNS = Path("runs")

Declared: TypeAlias = Consortium | AnySchema | str | Path


class UnknownOption(ConsortiumError, TypeError, code="unknown-option"):
    """A function was given an option that it does not have, or a value that it cannot have."""


class Options(TypedDict, total=False):
    """What a run is asked; docs/api.md says what each option means."""

    rounds: int
    encrypted: bool
    seed: int
    config: Mapping[str, Scalar]
    out: str | Path
    engine: Engine
    allow_absent: bool


@dataclass(frozen=True)
class _Request:
    """What was asked for, checked before anything runs.

    Args:
        scenario: Whose sites.
        members: The sites that were given data.
        config: Of the run.
        options: The rest of what was asked.
    """

    scenario: Scenario
    members: tuple[Site, ...]
    config: RunConfig
    options: Options

    @classmethod
    def of(
        cls,
        what: Declared,
        sites: Sites | None,
        options: Options,
        settings: Mapping[str, Scalar] | None = None,
    ) -> "_Request":
        unknown = [name for name in options if name not in Options.__annotations__]
        if unknown:
            raise UnknownOption(unknown_name(unknown[0], [*Options.__annotations__], kind="option"))
        scenario, members = _declared(what, sites)
        require_sites(scenario, [site.name for site in members])
        config = scenario.config_with({**(settings or {}), **_settings(options)})
        require_runnable(config, scenario.charter)
        look_up(options.get("engine", "inprocess"), ENGINES, kind="engine", refusal=UnknownOption)
        return cls(scenario, members, config, options)

    def run(self, on_staged: Callable[[RunDirectory], None] = do_nothing) -> Run:
        """Run it in a new directory.

        Args:
            on_staged: Called once everything is staged, before anything runs.

        Raises:
            DataRefused: Sites refused the records that they were given.
            RunFailed: The run ended with an error.
        """
        named = self.options.get("out")
        directory = new_run_directory(
            self.scenario, under=RUNS, named=None if named is None else Path(named)
        )
        order = ScenarioRun(
            scenario=self.scenario,
            config=self.config,
            engine=self.options.get("engine", "inprocess"),
            # With the run, which may be resumed or compared when the DataFrames are gone.
            own_data=self._kept_sources(directory),
            on_staged=on_staged,
        )
        try:
            run_scenario(order, directory)
        except RunFailed as error:
            self._require_data(directory, str(error))
            raise
        if not self.options.get("allow_absent", False):
            self._require_data(directory, "allow_absent=True accepts a run without them")
        return Run(directory.path)

    def _kept_sources(self, directory: RunDirectory) -> dict[str, DataSource]:
        """Return where the records are; if one site's cannot be read, nothing of any is left."""
        try:
            return self.sources(directory.site)
        except ConsortiumError:
            shutil.rmtree(directory.path)
            raise

    def _require_data(self, directory: RunDirectory, more: str) -> None:
        if not directory.summary.exists():
            return
        said = refusal_texts(directory, read_record(directory.summary, Summary))
        if said:
            raise DataRefused(said, more, f"the run's directory: {directory.path}")

    def sources(self, folder_of: Callable[[str], Path]) -> dict[str, DataSource]:
        """Return where the records are; those of a DataFrame are written into a site's folder.

        What a user should know of how they are read is said as a warning of Python.
        """
        found = {}
        for site in self.members:
            folder = folder_of(site.name)
            make_private_directory(folder)
            source = source_for(self.scenario.table, site.source(folder))
            for note in notes_on(source, self.scenario.table):
                warnings.warn(f"{site.name}: {note}", UserWarning, stacklevel=4)
            found[site.name] = source
        return found


def simulate(what: Declared, sites: Sites | None = None, /, **options: Unpack[Options]) -> Run:
    """Run a consortium on this machine, and return the run.

    Args:
        what: The schema on which the sites agreed; a `Consortium`; the name of a scenario; or the
            path of a file that declares one.
        sites: The records by site: DataFrames, files or queries; or a sequence of `Site`.
        options: `rounds`, `encrypted`, `seed`, `config`, `out`, `engine`, `allow_absent`.

    Raises:
        DataRefused: Sites refused the records that they were given; the message says why.
        RunFailed: The run ended with an error, which the message repeats.
        ConsortiumError: Something that was asked cannot be done; nothing was run.
    """
    run = _Request.of(what, sites, options).run()
    run.report()
    return run


def compare(
    what: Declared,
    sites: Sites | None = None,
    /,
    *,
    search: Sequence[str] = (),
    trials: int = 16,
    **options: Unpack[Options],
) -> Run:
    """Run a consortium; compare it with each site alone and with all records in one place.

    The other arguments and errors are those of `simulate`. `Run.comparison` has the figures.

    Args:
        what: As for `simulate`.
        sites: As for `simulate`.
        search: Each way of training is first tuned for itself over these values, as
            `scenario compare --search` takes them, on a part of the training records.
        trials: How many trials each way of training has.
        options: As for `simulate`.

    Raises:
        BadSearch, BadSchedule, NotTunable, NoTrialLeft, SweepTooDear: It cannot be searched so.
    """
    from scenarios.experiments.comparison import compare as compare_arms  # only it needs torch

    request = _Request.of(what, sites, options)
    tuned = None
    if search:
        request, tuned = _tuned(request, search, trials)
    run = request.run(tuned.on_staged if tuned else do_nothing)
    directory = RunDirectory(run.path)
    absent = refusal_texts(directory, run.summary)
    left = tuple(name for name in request.scenario.sites if name not in absent)
    scenario = replace(request.scenario, sites=left)
    compare_arms(scenario, request.config, directory, tell=lambda line: None, tuned=tuned)
    run.report()
    return run


def _tuned(request: _Request, search: Sequence[str], trials: int) -> tuple[_Request, "TunedArms"]:
    """Tune each way of training; return the request with what the shared model chose."""
    from scenarios.sweep.tuned_arms import FEDERATED, tune_arms  # torch, where it is needed

    with TemporaryDirectory() as folder:  # readable to its owner only
        order = SweepOrder(
            name=request.scenario.name,
            scenario=request.scenario,
            config=request.config,
            chosen={"seed": request.config.seed},
            searches=parse_searches([search] if isinstance(search, str) else search),
            trials=trials,
            reduction=2,
            own_data=request.sources((Path(folder) / "given").joinpath),
        )
        where = SweepDirectory(Path(folder) / "search")
        tuned = tune_arms(order, where, tell=lambda line: None, workers=0)
    return replace(request, config=tuned.config_of(FEDERATED)), tuned


def describe(what: Declared, sites: Sites | None = None, /, **options: Unpack[Options]) -> Run:
    """Describe the records of all sites together; `Run.table_one` is the table.

    The arguments and errors are those of `simulate`.
    """
    run = _Request.of(what, sites, options, {"learner": "describe"}).run()
    run.report()
    return run


def check(
    what: Declared, sites: Sites | None = None, /, **options: Unpack[Options]
) -> pd.DataFrame:
    """Compare each site's records with the others' counts, and train nothing.

    The arguments are those of `simulate`. The DataFrame has a row a finding: `site`, `alarming` and
    `finding`, a sentence.

    Raises:
        DataRefused: Records cannot be read, or do not fit the schema; each site is named.
    """
    request = _Request.of(what, sites, options)
    with TemporaryDirectory() as folder:  # readable to its owner only
        given = request.sources(Path(folder).joinpath)
        found = check_sites(request.scenario, request.config, given)
    rows = [(site, one.alarming, one.sentence) for site, some in found.items() for one in some]
    return pd.DataFrame(rows, columns=["site", "alarming", "finding"])


def _declared(what: Declared, sites: Sites | None) -> tuple[Scenario, tuple[Site, ...]]:
    given = members_of(sites or {})
    match what:
        case Consortium():
            return what.scenario, _in_place(what.members, given)
        case str() | Path():
            found = named_scenario_with_data(str(what))
            named = [Site(name, source) for name, source in found.sources.items()]
            return found.scenario, _in_place(named, given)
        case _:
            return Consortium(what, given).scenario, given


def _in_place(known: Sequence[Site], given: Sequence[Site]) -> tuple[Site, ...]:
    """Return the sites with their data: what was given takes the place of what was known."""
    return tuple({site.name: site for site in (*known, *given)}.values())


def _settings(options: Options) -> dict[str, Scalar]:
    chosen: dict[str, Scalar] = dict(options.get("config", {}))
    if "rounds" in options:
        chosen["num-server-rounds"] = options["rounds"]
    sealed = options.get("encrypted")
    if sealed is not None:
        chosen["aggregation"] = "encrypted" if sealed else "clear"
    if "seed" in options:
        chosen["seed"] = options["seed"]
    return chosen
