"""`scenario rules`: which rules survive a number of liars among the sites, and what they cost."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from consortium.charter.document import Charter, Floors, Member
from consortium.config import RunConfig, Scalar
from consortium.protocol.aggregation import smallest_consortium
from consortium.protocol.robustness_estimate import WATCHED_ROUNDS, protection_of
from consortium.run.records import Protection
from privacy.errors import ConsortiumError, number_of
from privacy.protocol.grouping import most_buckets
from scenarios.cli.terminal import console
from sites.schema.tables import ClassLabel, Number, Schema
from strategies.rules.registry import RULES, Infeasible, RuleSpec

app = typer.Typer()

PRE_STEPS = ("nearest-neighbour-mixing", "bucketing")

_MEGABYTE = 1e6
_LEGEND = (
    "a hostile value inside a ciphertext cannot be seen, only bounded and outvoted: the sites "
    "clip each bucket mean to rule.clip-norm, then apply the rule; a liar spoils its bucket\n"
    "crowd: fewest sites in a bucket; spare: buckets that may fall below their floor in a round; "
    "shown: correlation of what other members see with the direction of one site; anew: the same "
    f"if the buckets were redrawn for {WATCHED_ROUNDS} rounds, which is why they are fixed; "
    "down: bytes that a site downloads in a round\nyes: the liars are outvoted; bounded: each liar "
    "moves the model, but by no more than the proven bound, which matters where voters are few; a "
    "liar that sends nothing, or no number, cannot spoil the model, but it can stop the run if "
    "there are fewer spare voters than liars\nlearners that count have no rule, as all sites are "
    "in an exact sum: a lie is bounded by what a tally can hold, and is not outvoted\n"
    "proven bounds:"
)
_ANY_TABLE = Schema(
    name="any",
    person="person",
    features=(Number(name="x", low=0, high=1),),
    label=ClassLabel(column="y", classes=("no", "yes")),
)


@app.command("rules")
def rules(
    sites: Annotated[int, typer.Option("--sites", min=1, help="Members of the consortium.")] = 15,
    liars: Annotated[int, typer.Option("--liars", min=0, help="Liars to survive.")] = 1,
    dim: Annotated[int, typer.Option("--dim", min=1, help="Numbers in the model.")] = 1_000_000,
) -> None:
    """Show which rules survive a number of liars and what they cost, clear and encrypted."""
    print_rules(console, sites=sites, liars=liars, dim=dim)


def print_rules(console: Console, *, sites: int, liars: int, dim: int) -> None:
    """Print what each rule survives and costs, in the clear and over encrypted buckets.

    Args:
        console: Where to print.
        sites: Members of the consortium.
        liars: Number of liars to survive.
        dim: Number of parameters that travel.
    """
    console.print(
        f"{liars} of {number_of(sites, 'site')} lie; a model of {dim:,} numbers; a charter's "
        "default floors",
        highlight=False,
    )
    console.print(_plaintext_table(sites, liars, dim))
    console.print(_encrypted_table(sites, liars, dim))
    console.print(_LEGEND, soft_wrap=True, highlight=False)
    for spec in RULES.values():
        console.print(f"{spec.name}: {spec.breakdown}", soft_wrap=True, highlight=False)


def _plaintext_table(sites: int, liars: int, dim: int) -> Table:
    table = Table(box=None, pad_edge=False, title="in the clear", title_justify="left")
    for heading in ("rule", "survives"):
        table.add_column(heading, no_wrap=True)
    for heading in ("sites needed", "may be missing", "server holds"):
        table.add_column(heading)
    for spec in RULES.values():
        # float32. A streaming rule keeps one running sum, any other rule every update.
        kept = 4 * dim * (1 if spec.streaming else sites)
        table.add_row(
            *_plaintext_row(spec, _config_of(spec.name, liars), sites, dim), _format_megabytes(kept)
        )
    for step in PRE_STEPS:
        config = _config_of("trimmed-mean", liars, {"rule.pre-step": step})
        name = f"{step}, then trimmed-mean"
        row = _plaintext_row(RULES["trimmed-mean"], config, sites, dim)
        table.add_row(name, *row[1:], _format_megabytes(4 * dim * sites))
    return table


def _plaintext_row(
    spec: RuleSpec, config: RunConfig, sites: int, dim: int
) -> tuple[str, str, str, str]:
    charter = _charter(sites)
    try:
        needed = str(smallest_consortium(config, charter))
    except Infeasible:
        return spec.name, "no", "never", ""
    try:
        found = protection_of(config, charter, dim=dim)
    except ConsortiumError:
        return spec.name, "no", needed, ""
    return spec.name, _survival(spec), needed, str(found.spare)


def _encrypted_table(sites: int, liars: int, dim: int) -> Table:
    table = Table(box=None, pad_edge=False, title="encrypted", title_justify="left")
    for heading in ("buckets", "rule", "survives"):
        table.add_column(heading, no_wrap=True)
    for heading in ("sites needed", "crowd", "spare", "shown", "anew", "down"):
        table.add_column(heading)
    for buckets in _bucket_choices(sites, liars):
        for spec in RULES.values():
            # Sites apply the rule themselves and compare states byte for byte, so only rules that
            # every processor computes alike will do. One bucket is one sum: nothing but a mean.
            if spec.same_on_every_cpu and (spec.name == "mean") == (buckets == 1):
                table.add_row(
                    str(buckets), spec.name, *_encrypted_row(spec, buckets, liars, sites, dim)
                )
    return table


def _encrypted_row(
    spec: RuleSpec, buckets: int, liars: int, sites: int, dim: int
) -> tuple[str, ...]:
    config = _config_of(spec.name, liars, {"aggregation": "encrypted", "buckets": buckets})
    charter = _charter(sites)
    try:
        found = protection_of(config, charter, dim=dim)
    except ConsortiumError:
        return ("no", _sites_needed(config, charter))
    return (_survival(spec), *_costs(found))


def _survival(spec: RuleSpec) -> str:
    return "bounded" if spec.only_bounds else "yes"


def _costs(found: Protection) -> Iterator[str]:
    yield str(found.smallest_consortium)
    yield str(found.crowd)
    yield str(found.spare)
    yield f"{found.fixed_shows:.2f}"
    yield f"{found.reshuffled_shows:.2f}"
    yield _format_megabytes(found.bytes_down_per_site)


def _sites_needed(config: RunConfig, charter: Charter) -> str:
    try:
        return str(smallest_consortium(config, charter))
    except Infeasible:
        return "never"


def _bucket_choices(sites: int, liars: int) -> list[int]:
    """Return one bucket for the mean, the fewest that survive the liars, and the most possible."""
    # f liars spoil at most f buckets: f + 1 honest ones outvote them, so 2f + 1 in all.
    most = most_buckets(sites, min_others=Floors().min_others)
    return sorted({1, 2 * liars + 1, max(most, 2 * liars + 1)})


def _config_of(rule: str, liars: int, settings: dict[str, Scalar] | None = None) -> RunConfig:
    common: dict[str, Scalar] = {
        "weighting": "equal",
        "rule.name": rule,
        "rule.num-byzantine": liars,
    }
    return RunConfig.parse({**common, **(settings or {})})


def _charter(sites: int) -> Charter:
    members = tuple(Member(name=f"site-{index}") for index in range(sites))
    return Charter(name="any", task="credit", table=_ANY_TABLE, members=members)


def _format_megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:,.1f} MB"
