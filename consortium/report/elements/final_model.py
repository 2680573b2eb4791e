"""The model of a run, if its directory holds it: at the sites of a simulated consortium."""

from consortium.charter.document import Charter
from consortium.model.card import Subject
from consortium.run.directory import RunDirectory
from consortium.site.directory import SiteDirectory
from sites.schema.tables import Schema


def read_table_model(run: RunDirectory, charter: Charter, digest: str) -> Subject | None:
    """Return the model of a table that a run ended with; None if the directory does not hold it.

    Args:
        run: The run's directory.
        charter: The members' charter.
        digest: Of the model; empty if there is none.
    """
    if not digest or not isinstance(charter.table, Schema):
        return None
    from consortium.model.files import BadModel, read_model  # a run without a model does not pay

    for name in charter.names:
        try:
            found = read_model(SiteDirectory(run.site(name)).model).subject
        except BadModel:
            continue  # this site ended without a model, or it lies elsewhere
        if found.digest == digest:
            return found
    return None
