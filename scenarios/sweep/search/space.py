"""What a sweep searches: keys of the run config, and the values that each may take.

A search is written `key=log(low,high)`, `key=uniform(low,high)`, `key=int(low,high)` or
`key=choice(a,b,c)`. A key that decides who takes part, who is held out, what is counted or what
persons lose is the same in all trials, and is refused here.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from consortium.config import KEYS, BadConfig, RunConfig, Scalar
from privacy.errors import ConsortiumError

Form: TypeAlias = Literal["log", "uniform", "int", "choice"]

FORMS = "key=log(low,high), key=uniform(low,high), key=int(low,high) or key=choice(a,b,...)"
_WRITTEN = re.compile(r"\s*([^=\s]+)\s*=\s*(log|uniform|int|choice)\s*\(([^()]*)\)\s*")
_FITTING: dict[type, str] = {
    float: "log(low,high), uniform(low,high) or choice(a,b,...)",
    int: "int(low,high) or choice(a,b,...)",
    bool: "choice(true,false)",
    str: "choice(a,b,...)",
}
# Who takes part and who is held out, what is counted, how long a run is, and what persons lose.
_NAMES = """
aggregation attempts buckets continues deadline-s dp.delta dp.epsilon dp.max-records-per-person
dp.noise-multiplier dp.sampling-rate dp.steps dp.unit evaluate-model fraction join-deadline-s
keep-uploads learner masks num-server-rounds on-finding parameter-set period quorum schedule
score-bins seed subgroups without
"""
_ALIKE = frozenset(_NAMES.split())


class BadSearch(ConsortiumError, ValueError, code="bad-search"):
    """A search names no key of the run config that may differ, or no values that it may take."""


@dataclass(frozen=True)
class Search:
    """The values that one key may take.

    Args:
        key: A key of the run config.
        form: How values are drawn: between two bounds, or one of several.
        values: The two bounds, low first; or the choices, each once.
    """

    key: str
    form: Form
    values: tuple[Scalar, ...]

    def __str__(self) -> str:
        """Return it as it is written; the inverse of `parse_search`."""
        inside = ",".join(one if isinstance(one, str) else json.dumps(one) for one in self.values)
        return f"{self.key}={self.form}({inside})"


def parse_search(text: str) -> Search:
    """Parse one search.

    Raises:
        BadSearch: It does not have the form, or the key has no such values.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise BadSearch(f"--search needs {FORMS}, got '{text}'")
    key, form, inside = written.groups()
    _require_tunable(key)
    kind, parts = type(KEYS[key]), [one.strip() for one in inside.split(",")]
    match form:
        case "choice":
            values = tuple(_value(key, kind, one) for one in parts)
            if len(set(values)) != len(values):
                raise BadSearch(f"--search {key}: a choice stands twice in '{text}'")
            return Search(key, "choice", values)
        case "int" if kind is int:
            return Search(key, "int", _bounds(key, kind, parts))
        case "log" | "uniform" if kind is float:
            low, high = _bounds(key, kind, parts)
            if form == "log" and low <= 0:
                raise BadSearch(f"--search {key}: log needs bounds above 0, got {low:g}")
            return Search(key, "log" if form == "log" else "uniform", (low, high))
    raise BadSearch(f"--search {key} needs {key}={_FITTING[kind]}, got '{text}'")


def parse_searches(texts: Iterable[str]) -> tuple[Search, ...]:
    """Parse all searches of a sweep.

    Raises:
        BadSearch: There is none, one is none, or a key has two.
    """
    searches = tuple(map(parse_search, texts))
    if not searches:
        raise BadSearch(f"a sweep needs at least one --search: {FORMS}")
    keys = [one.key for one in searches]
    for key in keys:
        if keys.count(key) > 1:
            raise BadSearch(f"--search {key} stands twice: give each key one search")
    return searches


def require_in_range(searches: Sequence[Search], config: RunConfig) -> None:
    """Check that each bound and each choice is a value that the run config takes.

    Raises:
        BadSearch: One is not; the message names the key and its range.
    """
    for search in searches:
        for value in search.values:
            try:
                RunConfig.parse({**config.flat(), search.key: value})
            except BadConfig as error:
                raise BadSearch(f"--search {search}: {error}") from error


def _require_tunable(key: str) -> None:
    if key not in KEYS:
        try:
            RunConfig.parse({key: 0})
        except BadConfig as error:
            raise BadSearch(f"--search {key}: {error}") from error
    if key in _ALIKE:
        raise BadSearch(
            f"--search {key}: it is the same in all trials, which have one roster, one split and "
            "one budget: give it with --set, and search keys that change how the sites train"
        )


def _bounds(key: str, kind: type, parts: Sequence[str]) -> tuple[float, float]:
    numbers = [_number(key, kind, one) for one in parts]
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise BadSearch(f"--search {key} needs two bounds, low before high, got {','.join(parts)}")
    return numbers[0], numbers[1]


def _value(key: str, kind: type, text: str) -> Scalar:
    if kind is str:
        return text
    if kind is bool:
        if text not in {"true", "false"}:
            raise BadSearch(f"--search {key} needs {key}={_FITTING[bool]}, got '{text}'")
        return text == "true"
    return _number(key, kind, text)


def _number(key: str, kind: type, text: str) -> float:
    try:
        number = kind(text)
    except ValueError as error:
        raise BadSearch(f"--search {key} needs {key}={_FITTING[kind]}, got '{text}'") from error
    if not math.isfinite(number):
        raise BadSearch(f"--search {key} needs finite numbers, got '{text}'")
    return float(number) if kind is float else int(number)
