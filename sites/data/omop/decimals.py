"""Notice where a database keeps fewer decimals of measurements than were loaded into it.

The definition of the CDM says `NUMERIC`. That keeps all digits in PostgreSQL and SQLite. To DuckDB
it is `DECIMAL(18,3)`, which rounds what is loaded to three decimals without a word.
"""

from sites.data.omop.database import duckdb_path, opened_database
from sites.data.omop.maps import MeasurementColumn, read_map
from sites.data.source import OmopDatabase

_TYPE = (
    "SELECT data_type, numeric_scale FROM information_schema.columns "
    "WHERE table_name = 'measurement' AND column_name = 'value_as_number' AND table_schema = "
)
_ROUNDING = ("DECIMAL", "NUMERIC")


def notice_of_decimals(source: OmopDatabase) -> str:
    """Return what a person should know of the decimals of measurements; "" if nothing.

    Only the type of the column is read, in DuckDB and PostgreSQL; SQLite rounds nothing.

    Raises:
        UnreadableSource: The map or the database cannot be read.
    """
    declared = read_map(source.map)
    numbers = [
        name
        for name, column in declared.columns.items()
        if isinstance(column, MeasurementColumn) and column.value == "number"
    ]
    has_types = duckdb_path(source.url) or source.url.startswith("postgresql")
    if not numbers or not has_types:
        return ""
    # The map holds a schema's name to letters and digits.
    schema = f"'{declared.schema_name}'" if declared.schema_name else "current_schema()"
    with opened_database(source.url) as database:
        found = [row for chunk in database.chunks(_TYPE + schema) for row in chunk]
    for kind, scale in found:
        if str(kind).upper().startswith(_ROUNDING) and scale is not None:
            return (
                f"measurement.value_as_number keeps {scale} decimals ({kind}), so that smaller "
                f"parts of what was loaded are gone: read are {', '.join(numbers)}; if their "
                "values may be small, make the column DOUBLE PRECISION and load them again"
            )
    return ""
