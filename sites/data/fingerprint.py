"""Fingerprint of a site's records: a digest of their content, whatever the files are called.

With it, a site notices whether a later run uses the same records. It is a module of its own
because it must work without pandas.
"""

import hashlib
from pathlib import Path

from sites.data.source import DataSource, FhirFiles, OmopDatabase, SqlQuery, TableFile

_NO_WORDS = "{}"


def fingerprint_of(source: DataSource) -> str:
    """Return the SHA-256 of a source's records as they are now, in hexadecimal.

    Guarantee: the same files, or the same rows in the same order, have the same digest wherever
    they are stored, if the same words say how to read them: with other words they are other
    records. The digest never leaves the site.

    Raises:
        UnreadableSource: A database cannot be queried, or there are no rows.
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    words = source.model_dump_json(include={"reading", "encoding", "sheet"}, exclude_defaults=True)
    if words != _NO_WORDS:
        digest.update(words.encode())
    if isinstance(source, SqlQuery | OmopDatabase):
        from sites.data.tables import read_table  # files are digested without pandas

        digest.update(read_table(source).to_csv(index=False).encode())
        return digest.hexdigest()
    # The map of FHIR resources decides what the records are, as a query does.
    also = [source.map] if isinstance(source, FhirFiles) else []
    for path in (*_files(source.path), *also):
        if isinstance(source, TableFile) and path != source.path:
            # The names of folders of Parquet files are values of the records.
            digest.update(path.relative_to(source.path).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file())
