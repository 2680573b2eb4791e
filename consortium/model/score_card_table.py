"""A score card in words: its rows, and what to know of it, for the report and the model card."""

from collections.abc import Mapping
from typing import Any

from consortium.wording import formatting as words
from consortium.wording.formatting import MINUS
from privacy.errors import number_of

HEADINGS = ("Feature", "Value", "Training records", "Share", "Weight of evidence", "Points")


def features_by_effect(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the features whose points differ, those with the widest range of points first."""
    told = [one for one in found["features"] if points_range(one) > 0]
    return sorted(told, key=lambda one: (-points_range(one), one["name"]))


def points_range(feature: Mapping[str, Any]) -> int:
    """Return by how many points the best bin of a feature is above its worst."""
    points = [one["points"] for one in feature["bins"]]
    return int(max(points) - min(points))


def rows_of(found: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Return the cells of a card: the points that everybody has, then each bin of each feature."""
    start = ("Everybody", "", _records(found["records"]), _share(found["records"]), "", "")
    rows = [(*start[:-1], signed(found["start"], plus=False))]
    for feature in features_by_effect(found):
        rows.extend(
            (
                feature["name"],
                bin_text(one, feature["unit"]),
                _records(one),
                _share(one),
                f"{one['weight_of_evidence']:+.2f}".replace("-", MINUS),
                signed(one["points"]),
            )
            for one in feature["bins"]
        )
    return tuple(rows)


def bin_text(one: Mapping[str, Any], unit: str = "") -> str:
    """Return in words which values a bin holds."""
    beside = " or missing" if one["missing"] else ""
    if "values" in one:
        return ", ".join(one["values"]) + beside if one["values"] else "missing"
    if one["only_missing"]:
        return "missing"
    low, below = (None if one[end] is None else f"{one[end]:,g}" for end in ("from", "below"))
    low, below = (text and text.replace("-", MINUS) for text in (low, below))
    after = f" {unit}" if unit else ""
    if low is None and below is None:
        return f"any value{beside}"
    if low is None:
        return f"below {below}{after}{beside}"
    return f"{low}{after} or more{beside}" if below is None else f"{low} to {below}{after}{beside}"


def scale_sentence(found: Mapping[str, Any]) -> str:
    """Return what points stand for."""
    first, _ = found["classes"]
    return (
        f"{signed(found['base_points'], plus=False)} points stand for odds of "
        f"{found['base_odds']:g} to 1 for {found['label']} = {first}, and {found['pdo']:g} points "
        f"more double the odds. Totals go from {signed(found['fewest'], plus=False)} to "
        f"{signed(found['most'], plus=False)}."
    )


def notes_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a reader must know of a card."""
    second = found["classes"][1]
    left = len(found["features"]) - len(features_by_effect(found))
    directed = [one["name"] for one in found["features"] if one["direction"]]
    noisy = "noise" in found
    notes = [
        f"Each bin holds at least ten training records of each class and 5 % of all"
        f"{', by counts with noise' if noisy else ''}: smaller ones were merged, and so were "
        f"neighbours that do not differ{' by more than chance and noise' if noisy else ''}.",
        f"The weight of evidence says what a bin tells by itself: above 0, fewer have "
        f"{found['label']} = {second} than on average. Points say what it adds beside the other "
        "features.",
        "The reasons for a low total are the features whose points are farthest below their most.",
        "results.json beside the model holds the card with a formula by which any program scores a "
        "record.",
    ]
    if left:
        notes.append(f"{number_of(left, 'feature').capitalize()} gave everybody the same points.")
    if directed:
        notes.append(f"A direction was asked of {words.name_list(directed)}, and is kept.")
    if not found["settled"]:
        notes.append(
            "The points have not settled: the run ended too early. Give it more rounds with "
            "num-server-rounds."
        )
    return tuple(note.replace(" %", f"{words.SPACE}%") for note in notes)


def signed(points: float, *, plus: bool = True) -> str:
    """Return points with their sign."""
    sign = MINUS if points < 0 else "+" if plus and points > 0 else ""
    return f"{sign}{abs(points):,g}"


def _records(one: Mapping[str, Any]) -> str:
    return words.count(one["first"] + one["second"])


def _share(one: Mapping[str, Any]) -> str:
    total = one["first"] + one["second"]
    return words.percent(one["second"] / total) if total else words.DASH
