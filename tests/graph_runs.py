"""A graph as others run it: written to a file, loaded by onnxruntime, fed with raw columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from consortium.model.onnx_file import onnx_bytes
from sites.graphs.graph import Graph
from sites.schema.tables import Category, Schema

Columns = Mapping[str, NDArray[Any]]


def session_of(content: bytes) -> onnxruntime.InferenceSession:
    """Return a session on one thread, in which the order of sums is fixed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def raw_columns(schema: Schema, columns: Columns) -> dict[str, NDArray[Any]]:
    """Return records as they stand in a table: codes as texts, empty where missing."""
    return {
        item.name: np.array(
            [item.values[code] if code >= 0 else "" for code in columns[item.name]], object
        )
        if isinstance(item, Category)
        else np.asarray(columns[item.name], np.float64)
        for item in schema.features
    }


def run_raw(graph: Graph, raw: Columns) -> dict[str, NDArray[Any]]:
    """Return what a graph says of raw columns, by output."""
    found = session_of(onnx_bytes(graph, {})).run(None, dict(raw))
    return {one.name: held for one, held in zip(graph.outputs, found, strict=True)}


def run(graph: Graph, schema: Schema, columns: Columns) -> dict[str, NDArray[Any]]:
    """Return what a graph says of records as a task holds them, by output."""
    return run_raw(graph, raw_columns(schema, columns))
