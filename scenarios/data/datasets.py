"""The data sets that come with the project, and the site of each record.

Each file in `data/` is pinned by its SHA-256: its content is what README.md there describes. The
site of a record depends on that record alone, so that a part of a table is divided exactly as
the whole is.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from privacy.errors import ConsortiumError

Names: TypeAlias = "pd.Series[str]"

FOLDER = Path(__file__).parent

SHA256: Mapping[str, str] = {
    "heart-disease": "825c0177c9b0274926da9aa29f9b3947fdc13c86f137a8c6f8d2f43ccca845f3",
    "taiwan-credit": "579409c3b7552ef170d4bcec03e280a406dc10f150e71f4b1713ff35bd459b65",
    "lending-club": "ba0c15b5aaa0d3d1ba19e8a2d70115f2efb5545eef5d2104d44b35e19145dae1",
    "lung": "4a7c99b8477a98fc195e5eeec9c7c7aa9a9f44e0eceb4d8ec0a001010109b854",
    "ames": "7d9e0f0c3e88cf1507ee788c258ef55212904d6bcb92050aa45a1a511ce1c139",
}

# Nobody states a licence for them, so that a package does not hold them.
IN_REPOSITORY_ONLY = frozenset({"lending-club", "ames"})

DRUG_NAMES_SHA256 = "d931bc59d7d3b92e34e2c01681ecfe3c7fe8dff3b808aad5d5959ca334a51385"

HOSPITALS = ("cleveland", "hungary", "switzerland", "va-long-beach")

# The institutions of the North Central Cancer Treatment Group, by their numbers in the trial.
INSTITUTIONS = tuple(
    f"institution-{number}"
    for number in (1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 15, 16, 21, 22, 26, 32, 33)
)
NO_INSTITUTION = "no-institution"

# Invented names, from the smallest credit limits to the largest.
BANKS = ("amber-bank", "birch-bank", "cedar-bank", "dune-bank", "elm-bank")
# Largest limit of each bank but the last, in NT$: the quintiles of all 30,000 limits.
LARGEST_LIMITS = (50_000, 100_000, 180_000, 270_000)

# Each of the five banks as three that differ in nothing but their names.
BRANCHES = ("east", "south", "west")
BRANCH_BANKS = tuple(
    f"{bank.removesuffix('-bank')}-{place}" for bank in BANKS for place in BRANCHES
)

# https://www2.census.gov/geo/pdfs/maps-data/maps/reference/us_regdiv.pdf
STATES_BY_REGION = {
    "northeast": "CT MA ME NH NJ NY PA RI VT",
    "midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "south": "AL AR DC DE FL GA KY LA MD MS NC OK SC TN TX VA WV",
    "west": "AK AZ CA CO HI ID MT NM NV OR UT WA WY",
}

NEIGHBOURHOODS_BY_OFFICE = {
    "north-office": (
        "Bloomington Heights",
        "Briardale",
        "Gilbert",
        "Greens",
        "Northpark Villa",
        "Northridge",
        "Northridge Heights",
        "Northwest Ames",
        "Somerset",
        "Stone Brook",
        "Veenker",
    ),
    "east-office": (
        "Brookside",
        "Iowa DOT and Rail Road",
        "Meadow Village",
        "Mitchell",
        "North Ames",
        "Old Town",
    ),
    "west-office": (
        "Blueste",
        "Clear Creek",
        "College Creek",
        "Crawford",
        "Edwards",
        "Green Hills",
        "Landmark",
        "Sawyer",
        "Sawyer West",
        "South and West of Iowa State University",
        "Timberland",
    ),
}


class UnknownDataset(ConsortiumError, LookupError, code="unknown-dataset"):
    """The project has no data set of this name."""


class DatasetCorrupted(ConsortiumError, ValueError, code="dataset-corrupted"):
    """A data file is absent, or its content is not that of this version of the project."""


class RecordWithoutSite(ConsortiumError, ValueError, code="record-without-site"):
    """The value that decides the site of a record is missing or unknown."""


def load_dataset(name: str, *, folder: Path = FOLDER) -> pd.DataFrame:
    """Return the table of a shipped data set; an empty field is a missing value.

    Guarantee: the parsed bytes have the pinned SHA-256.

    Args:
        name: One of the keys of `SHA256`.
        folder: Where the files are.

    Raises:
        UnknownDataset: There is no such data set.
        DatasetCorrupted: The file is absent or its content differs.
    """
    if name not in SHA256:
        raise UnknownDataset(f"no data set {name!r}: choose one of {', '.join(SHA256)}")
    # Only an empty field is missing: pandas would also take words such as "none" for it.
    text = io.BytesIO(gzip.decompress(_read_pinned(folder / f"{name}.csv.gz", SHA256[name])))
    return pd.read_csv(text, keep_default_na=False, na_values=[""])


def drug_names() -> list[str]:
    """Return names of drugs, lower-case, one word each.

    Raises:
        DatasetCorrupted: The file is absent or its content differs.
    """
    return _read_pinned(FOLDER / "drug-names.txt", DRUG_NAMES_SHA256).decode().split()


def _read_pinned(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file of the project; refuse any but the pinned ones."""
    if not path.is_file():
        if path.name.partition(".")[0] in IN_REPOSITORY_ONLY:
            raise DatasetCorrupted(
                f"the data set {path.name} has no stated licence, so that it is not in the "
                "installed package: clone the repository, or bring your own records with --data"
            )
        raise DatasetCorrupted(f"{path} is absent: restore it from the repository")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetCorrupted(
            f"{path} has SHA-256 {found}, needed {sha256}: restore it from the repository"
        )
    return content


def heart_hospitals(frame: pd.DataFrame) -> Names:
    """Return the hospital that examined each patient, one of `HOSPITALS`."""
    return _map_to_sites(frame["hospital"], {name: name for name in HOSPITALS})


def lung_patients() -> pd.DataFrame:
    """Return the patients of `lung` whose institution and ECOG score are known: all but two."""
    frame = load_dataset("lung")
    return frame[frame["institution"].notna() & frame["ecog"].notna()]


def lung_institutions(frame: pd.DataFrame) -> Names:
    """Return the institution that treated each patient, one of `INSTITUTIONS`.

    Of one patient nobody knows it: `NO_INSTITUTION`, which is no site.
    """
    known = frame["institution"].notna()
    number = frame["institution"].fillna(0).astype(int).astype(str)
    named = ("institution-" + number).where(known, NO_INSTITUTION)
    return _map_to_sites(named, {name: name for name in (*INSTITUTIONS, NO_INSTITUTION)})


def credit_banks(frame: pd.DataFrame) -> Names:
    """Return the bank of each borrower, one of `BANKS`, by fifths of the credit limit.

    Guarantee: borrowers with the same limit have the same bank, and a limit on a boundary belongs
    to the lower bank. As limits are round numbers, the banks differ slightly in size.
    """
    limit = frame["credit_limit"]
    edges = [0.0, *LARGEST_LIMITS, float("inf")]
    bank = pd.cut(limit, bins=edges, labels=list(BANKS), right=True)
    return _require_every_site(bank.astype(object), limit)


def branch_banks(frame: pd.DataFrame) -> Names:
    """Return the bank of each borrower, one of `BRANCH_BANKS`: a third of one of the five.

    Guarantee: the third depends on the borrower's number alone, through a checksum, and so on
    nothing else that is known about the borrower. The thirds are of nearly the same size.
    """
    bank = credit_banks(frame).str.removesuffix("-bank")
    # A checksum is the same in every process, which hash() is not.
    drawn = frame["borrower"].map(lambda number: zlib.crc32(str(number).encode()) % len(BRANCHES))
    return (bank + "-" + drawn.map(dict(enumerate(BRANCHES)))).rename("site")


def lending_regions(frame: pd.DataFrame) -> Names:
    """Return the US Census region of each borrower's state, a key of `STATES_BY_REGION`."""
    region = {
        state: region for region, states in STATES_BY_REGION.items() for state in states.split()
    }
    return _map_to_sites(frame["addr_state"], region)


def ames_offices(frame: pd.DataFrame) -> Names:
    """Return the office that sold each house, a key of `NEIGHBOURHOODS_BY_OFFICE`.

    Guarantee: a neighbourhood has one office, and is closer to the centre of that office's houses
    than to the centre of another's.
    """
    office = {
        neighbourhood: office
        for office, neighbourhoods in NEIGHBOURHOODS_BY_OFFICE.items()
        for neighbourhood in neighbourhoods
    }
    return _map_to_sites(frame["neighbourhood"], office)


def _map_to_sites(key: "pd.Series[Any]", site_of: Mapping[str, str]) -> Names:
    return _require_every_site(key.map(site_of), key)


def _require_every_site(site: "pd.Series[Any]", key: "pd.Series[Any]") -> Names:
    without = int(site.isna().sum())
    if without:
        raise RecordWithoutSite(
            f"{without} of {len(site)} records have no site: {key.name} is "
            f"{sorted(set(key[site.isna()].astype(str)))[:3]}",
            without=without,
        )
    return site.astype(str).rename("site")
