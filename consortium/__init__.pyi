from consortium.charter.document import Floors as Floors
from privacy.errors import ConsortiumError as ConsortiumError
from scenarios.api.declaration import Consortium as Consortium
from scenarios.api.declaration import Site as Site
from scenarios.api.model import Model as Model
from scenarios.api.run import Run as Run
from scenarios.api.run import load_run as load_run
from scenarios.api.running import check as check
from scenarios.api.running import compare as compare
from scenarios.api.running import describe as describe
from scenarios.api.running import simulate as simulate
from sites.schema.tables import Category as Category
from sites.schema.tables import ClassLabel as ClassLabel
from sites.schema.tables import EventTimeLabel as EventTimeLabel
from sites.schema.tables import Number as Number
from sites.schema.tables import NumberLabel as NumberLabel
from sites.schema.tables import Schema as Schema

__all__ = [
    "Category",
    "ClassLabel",
    "Consortium",
    "ConsortiumError",
    "EventTimeLabel",
    "Floors",
    "Model",
    "Number",
    "NumberLabel",
    "Run",
    "Schema",
    "Site",
    "check",
    "compare",
    "describe",
    "load_run",
    "simulate",
]
