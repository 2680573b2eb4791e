"""A regression with inference in words and rows, for its card and for the report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from consortium.wording import formatting as words
from privacy.errors import number_of

_NAMES = {"logistic": "Logistic", "linear": "Linear", "poisson": "Poisson"}
_LARGEST_INFLATION = 10.0
_FEWEST_EACH = 10
_SMALL_P = 0.05
_INTERCEPTS = {
    "common": "One intercept is common to all sites.",
    "fixed": "Each site has an intercept of its own, which it eliminated itself: it is in no sum.",
}
_NO_NUMBERS = {
    "empty": "No record was counted, so there are no coefficients.",
    "one-outcome": "All counted records have the same outcome, so there are no coefficients.",
    "no-freedom": "There are no more records than coefficients, so nothing can be estimated.",
    "not-converged": "The estimate has not settled: run it again with more rounds "
    "(num-server-rounds).",
}
_ILLS = {
    "aliased": "left out: other inputs say the same",
    "empty": "left out: no counted record has it",
    "separated": "no finite estimate: all its records have the same outcome",
}


@dataclass(frozen=True, kw_only=True)
class RegressionTable:
    """The coefficients.

    Args:
        headings: Of the columns.
        rows: An input each, then the intercept; one cell for each heading.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def regression_table(found: Mapping[str, Any], *, mark: str = "") -> RegressionTable:
    """Return the coefficients of a regression as a table.

    Args:
        found: Its results.
        mark: Stands before and behind each name of a column or value.
    """
    ratio, of_ratio = ratio_name(found), has_ratios(found)
    first = ratio if of_ratio else _of_unit(found)
    headings = (
        "Input",
        first,
        f"{found['level']:.0%} interval".replace("%", f"{words.SPACE}%"),
        "p",
        f"{first}, one SD",
        "Coefficient (SE)",
        "VIF",
    )
    rows = [_row(one, found, mark) for one in found["coefficients"]]
    if found["intercept"]:
        rows.append(_intercept_row(found))
    return RegressionTable(headings=headings, rows=tuple(rows))


def regression_title(found: Mapping[str, Any]) -> str:
    """Return which regression it is: logistic regression of disease = yes."""
    outcome = f" = {found['outcome']}" if found["outcome"] else ""
    of = f"ln(1 + {found['label']})" if found["logarithmic"] else f"{found['label']}{outcome}"
    return f"{_NAMES[found['family']]} regression of {of}"


def has_ratios(found: Mapping[str, Any]) -> bool:
    """Return whether the exponential of a coefficient is a ratio."""
    return found["family"] != "linear" or bool(found["logarithmic"])


def ratio_name(found: Mapping[str, Any]) -> str:
    """Return what the exponential of a coefficient is."""
    names = {"logistic": "Odds ratio", "poisson": "Rate ratio"}
    return names.get(found["family"], f"Factor of 1 + {found['label']}")


def input_name(one: Mapping[str, Any], *, mark: str = "") -> str:
    """Return the name of an input, with its unit, or with the value it is compared with."""
    if one["value"]:
        against = f" (against {one['reference']})" if one["reference"] else ""
        return f"{mark}{one['name']}{mark}{against}"
    unit = f" ({one['unit']})" if one["unit"] else ""
    name = f"{mark}{one['name']}{mark}"
    return f"ln(1 + {name}){unit}" if one["logarithmic"] else f"{name}{unit}"


def p_text(p: float | None) -> str:
    """Return a p-value as journals write it."""
    if p is None:
        return words.DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def regression_notes(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader must know of a regression, a sentence or two each."""
    yield f"{_counted(found)} {_INTERCEPTS[found['site_effects']]}"
    if found["status"] == "separated":
        yield (
            f"Outcomes are separated by {words.name_list(found['separating'])}, as far as "
            f"{words.count_with_noun(found['exchanges'], 'exchange')} can tell: a likelihood that "
            "always rises has no finite estimate, so no coefficient is shown. If some records "
            "contradict it, more rounds find one (num-server-rounds). Else leave the column out or "
            "merge values in a revision of the charter, or set ridge."
        )
        return
    if found["status"] != "fitted":
        yield _NO_NUMBERS[found["status"]]
        return
    yield from _ills(found)
    yield _fit(found)
    yield from _heterogeneity(found)
    yield from _warnings(found)
    yield (
        "A ratio or coefficient is for one unit of a number, and for one pooled standard deviation "
        "of it in the column of that name; for a value of a category it is against the first "
        "declared value. They say what goes with what in these records, not what causes what."
    )


def _row(one: Mapping[str, Any], found: Mapping[str, Any], mark: str) -> tuple[str, ...]:
    name, own = input_name(one, mark=mark), one["own"]
    if own is None:
        return (name, _ILLS.get(one["state"], words.DASH), *[words.DASH] * 5)
    value, low, high = ("ratio", "ratio_low", "ratio_high") if has_ratios(found) else _PLAIN
    inflation = one["inflation"]
    return (
        name,
        significant(own[value]),
        _interval(own.get(low), own.get(high)),
        p_text(own["p"]),
        words.DASH if one["value"] else significant(one["deviation"][value]),
        f"{significant(own['coefficient'])} ({significant(own['error'])})",
        f"{inflation:.1f}",
    )


_PLAIN = ("coefficient", "low", "high")


def _intercept_row(found: Mapping[str, Any]) -> tuple[str, ...]:
    own = found["intercept"]["own"]
    value = f"{significant(own['coefficient'])} ({significant(own['error'])})"
    if has_ratios(found):
        return ("intercept", words.DASH, words.DASH, p_text(own["p"]), words.DASH, value, "")
    plain = (significant(own["coefficient"]), _interval(own["low"], own["high"]))
    return ("intercept", *plain, p_text(own["p"]), words.DASH, value, "")


def significant(value: float) -> str:
    """Return a number with three significant digits, and all those of its whole part."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", words.MINUS)


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return words.DASH
    return f"{significant(low)} to {significant(high)}"


def _of_unit(found: Mapping[str, Any]) -> str:
    return f"Change of {found['label']}" + (f" ({found['unit']})" if found["unit"] else "")


def _counted(found: Mapping[str, Any]) -> str:
    records, left_out = number_of(found["records"], "record"), found["left_out"]
    outcomes = "" if found["outcomes"] is None else f", {words.count(found['outcomes'])} of them "
    outcomes += f"with {found['label']} = {found['outcome']}," if outcomes else ""
    counted = f"{records}{outcomes} of {number_of(found['sites'], 'site')} are counted."
    if found["missing_values"] == "indicator":
        return f"{counted} A missing value has an input of its own, so no record is left out."
    if not left_out:
        return f"{counted} No record is left out."
    return (
        f"{counted} {number_of(left_out, 'record')} with a missing value {_is(left_out)} left out."
    )


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _fit(found: Mapping[str, Any]) -> str:
    if found["r_squared"] is not None:
        said = (
            f"They explain {words.percent(found['r_squared'])} of the variance; the residual "
            f"standard deviation is {significant(found['residual'])}"
        )
        return f"{said} {found['unit']}.".replace(" .", ".")
    ridge = f" A ridge of {found['ridge']:g} draws them to 0, so they have no intervals."
    return (
        f"The deviance falls from {found['null_deviance']:,.1f} with intercepts alone to "
        f"{found['deviance']:,.1f} with {number_of(found['parameters'], 'parameter')}."
        + (ridge if found["ridge"] else "")
    )


def _ills(found: Mapping[str, Any]) -> Iterator[str]:
    for state, said in _SAID.items():
        names = [one["name"] for one in found["coefficients"] if one["state"] == state]
        if names:
            yield f"{words.name_list(names)}: {said}."


_SAID = {
    "aliased": "what it says follows from other inputs, so it was left out",
    "empty": "no counted record has this value, so it was left out",
    "separated": "all records with this value have the same outcome, so its coefficient has no "
    "finite estimate; the others are those without these records",
}


def _heterogeneity(found: Mapping[str, Any]) -> Iterator[str]:
    tested = found["heterogeneity"]
    if tested is None:
        return
    verdict = (
        "The sites' coefficients differ by more than chance explains"
        if tested["p"] < _SMALL_P
        else "The sites' coefficients differ no more than chance explains"
    )
    freedom = f"{tested['freedom']}"
    if tested["test"] == "F":
        freedom = f"{freedom} and {tested['freedom_below']}"
        kind = "F test of each site's own coefficients"
    else:
        kind = "Rao's score test of each site's own coefficients"
    yield (
        f"{verdict}: {kind}, {tested['statistic']:,.1f} on {freedom} degrees of freedom, "
        f"p {_with_sign(tested['p'])}. With few records a site the test is rough."
    )


def _with_sign(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _warnings(found: Mapping[str, Any]) -> Iterator[str]:
    large = [
        one["name"]
        for one in found["coefficients"]
        if one["inflation"] and one["inflation"] > _LARGEST_INFLATION
    ]
    if large:
        yield (
            f"Other inputs say nearly the same as {words.name_list(large)} (VIF above "
            f"{_LARGEST_INFLATION:.0f}): these coefficients are uncertain for that reason."
        )
    if found["outcomes"] is not None:
        rarer = min(found["outcomes"], found["records"] - found["outcomes"])
        if rarer < _FEWEST_EACH * found["parameters"]:
            yield (
                f"There are fewer than {_FEWEST_EACH} records of the rarer outcome for each "
                "parameter: intervals and p-values are rough."
            )
