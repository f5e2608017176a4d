# SPDX-License-Identifier: Apache-2.0
"""What the tests ask of pyarrow, for a Python that has none.

Names, signatures and refusals are those of the real one, whose arrays are typed,
immutable, and no buffers.  install() makes it the module pyarrow.
"""

import sys
import types

_NUMBERS = {"int64": "<i8", "uint8": "|u1", "double": "<f8"}


class Scalar:
    def __init__(self, value):
        self._value = value

    def as_py(self):
        return self._value


class Array:
    def __init__(self, values, type):
        self._values, self.type = values, type

    @property
    def null_count(self):
        return self._values.count(None)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, i):
        return Scalar(self._values[i])

    def to_pylist(self):
        return list(self._values)

    def to_numpy(self, zero_copy_only=True, writable=False):
        import numpy

        if zero_copy_only and (self.null_count or self.type not in _NUMBERS):
            raise ValueError("Needed to copy 1 chunks, but zero_copy_only was True")
        return numpy.array(self._values, _NUMBERS.get(self.type, "O"))


class ChunkedArray:
    def __init__(self, chunks):
        self.chunks, self.type = chunks, chunks[0].type

    @property
    def null_count(self):
        return sum(chunk.null_count for chunk in self.chunks)

    def chunk(self, i):
        return self.chunks[i]

    def to_pylist(self):
        return [value for chunk in self.chunks for value in chunk.to_pylist()]

    def to_numpy(self):
        import numpy

        parts = [chunk.to_numpy(zero_copy_only=False) for chunk in self.chunks]
        return numpy.concatenate(parts)


class Schema:
    def __init__(self, names):
        self.names = names


class _Columns:
    def __init__(self, columns, names):
        self.columns, self.schema = columns, Schema(names)

    @property
    def num_rows(self):
        return len(self.columns[0].to_pylist()) if self.columns else 0


class RecordBatch(_Columns):
    pass


class Table(_Columns):
    def to_batches(self):
        columns = [column.chunk(0) for column in self.columns]
        return [RecordBatch(columns, self.schema.names)]


def array(values, type=None):
    kinds = {int: "int64", float: "double", str: "string"}
    found = [kinds[v.__class__] for v in values if v is not None]
    return Array(list(values), type or (found or ["null"])[0])


def chunked_array(arrays):
    return ChunkedArray([array(chunk) for chunk in arrays])


def table(data):
    columns = [
        c if isinstance(c, ChunkedArray)
        else ChunkedArray([c if isinstance(c, Array) else array(c)])
        for c in data.values()
    ]
    return Table(columns, list(data))


def install():
    pa = types.ModuleType("pyarrow")
    for thing in (Scalar, Array, ChunkedArray, Schema, RecordBatch, Table):
        setattr(pa, thing.__name__, thing)
    pa.array, pa.chunked_array, pa.table = array, chunked_array, table
    pa.types = types.ModuleType("pyarrow.types")
    pa.types.is_integer = lambda kind: kind in ("int64", "uint8")
    pa.types.is_floating = lambda kind: kind == "double"
    sys.modules["pyarrow"], sys.modules["pyarrow.types"] = pa, pa.types
