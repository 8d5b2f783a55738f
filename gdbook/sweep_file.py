"""The file of a sweep: what is done is on the disk, line by line, and belongs to one sweep only."""

import base64
import dis
import hashlib
import inspect
import io
import json
import os
import re
import struct
import types
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

__all__ = ["SweepFile", "identity"]

_TITLE = "sweep of gdbook, form 1"


class SweepFile:
    """Results of cells, one line of text each, appended and never changed.

    The first line holds the identity of the sweep. Every line starts with a checksum of the rest:
    one that was cut short by a crash, or damaged later, is passed over, and its cell is computed
    again. Two processes may append to one file; a cell that stands there twice has the same bits
    twice. Nothing in the file is ever executed: it is JSON, and arrays are in NumPy's format
    without pickles.

    Parameters
    ----------
    path : str or os.PathLike
        Made here if it does not exist; its folder must exist.
    identity : dict of str to str
        What must be the same for the results to be those of the same sweep.

    Raises
    ------
    ValueError
        If there is a file that is not that of this sweep. It is left as it is.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = SweepFile(f"{folder}/powers", {"function": "power"})
    ...     unfit = file.append({0: 1.5, 1: np.arange(3), 2: object()})
    ...     file.read()
    {0: 1.5, 1: array([0, 1, 2])}
    >>> unfit
    {2: 'TypeError: a file cannot hold a result of type object'}
    """

    def __init__(self, path, identity):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"file must be a path, not {path!r}")
        self.path = Path(path)
        head = _line([_TITLE, identity])
        try:
            with self.path.open("xb") as file:
                _write(file, head)
        except FileExistsError:
            text = self.path.read_bytes()
            if head.startswith(text):  # empty, or the crash came before the first line was whole
                with self.path.open("r+b") as file:
                    _write(file, head)
            else:
                self._compare(text, identity)

    def _compare(self, text, identity):
        head = _read(text.partition(b"\n")[0])
        if not (isinstance(head, list) and head[:1] == [_TITLE]):
            raise ValueError(f"file {self.path} is no file of a sweep; it is left as it is")
        names = sorted(set(identity) | set(head[1]))
        if different := [name for name in names if identity.get(name) != head[1].get(name)]:
            raise ValueError(
                f"file {self.path} is left as it is, for it belongs to another sweep: "
                + "; ".join(_difference(name, head[1], identity) for name in different)
            )

    def read(self):
        """Results by the numbers of their cells."""
        results = {}
        for line in self.path.read_bytes().split(b"\n")[1:]:
            match _read(line):
                case [int() as cell, value]:
                    results[cell] = _decoded(value)
        return results

    def append(self, results):
        """Put results on the disk before returning.

        Parameters
        ----------
        results : dict of int to object
            Numbers, texts, None, arrays without objects, and lists, tuples and dicts of these.

        Returns
        -------
        dict of int to str
            Why a result could not be written, for those for which that is so.
        """
        lines, unfit = [], {}
        for cell, value in results.items():
            try:
                lines.append(_line([cell, _encoded(value)]))
            except (TypeError, ValueError, RecursionError) as error:
                unfit[cell] = f"{type(error).__name__}: {error}"
        if lines:
            with self.path.open("r+b") as file:
                if file.seek(-1, os.SEEK_END) and file.read(1) != b"\n":
                    lines.insert(0, b"\n")  # the last line was cut short
            with self.path.open("ab") as file:
                _write(file, b"".join(lines))
        return unfit


def _write(file, text):
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def _line(value):
    text = json.dumps(value).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read(line):
    """The value of a line, or None where the line is damaged."""
    checksum, _, text = line.partition(b" ")
    return json.loads(text) if checksum == b"%08x" % zlib.crc32(text) else None


def _difference(name, theirs, ours):
    return f"{name} is {theirs.get(name, 'absent')} there and {ours.get(name, 'absent')} here"


# Values as JSON, to the last bit: what JSON lacks is an object with one key, its kind.


def _encoded(value):
    kind = type(value)
    if kind in (bool, int, str, type(None)) or (kind is float and np.isfinite(value)):
        return value
    if kind is float:
        return {"float": struct.pack(">d", value).hex()}
    if kind is complex:
        return {"complex": [_encoded(value.real), _encoded(value.imag)]}
    if kind is list:
        return [_encoded(entry) for entry in value]
    if kind is tuple:
        return {"tuple": [_encoded(entry) for entry in value]}
    if kind is dict:
        return {"dict": [[_encoded(key), _encoded(entry)] for key, entry in value.items()]}
    if kind is np.ndarray or isinstance(value, np.generic):
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=False)
        text = base64.b64encode(stream.getvalue()).decode()
        return {"array" if kind is np.ndarray else "scalar": text}
    raise TypeError(f"a file cannot hold a result of type {kind.__name__}")


def _decoded(value):
    match value:
        case list():
            return [_decoded(entry) for entry in value]
        case {"float": text}:
            return struct.unpack(">d", bytes.fromhex(text))[0]
        case {"complex": [real, imaginary]}:
            return complex(_decoded(real), _decoded(imaginary))
        case {"tuple": entries}:
            return tuple(map(_decoded, entries))
        case {"dict": pairs}:
            return {_decoded(key): _decoded(entry) for key, entry in pairs}
        case {"array": text}:
            return _array(text)
        case {"scalar": text}:
            return _array(text)[()]
    return value


def _array(text):
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


# What makes a sweep the same sweep


def identity(function, cells, seed=None):
    """What the results of a sweep depend on, as short texts to compare.

    Parameters
    ----------
    function : callable
        Its text counts, and so do the values that it takes from around it, and the functions of
        the same module that it calls. What it imports does not.
    cells : dict of str to sequence, or sequence of dict
    seed : numpy.random.SeedSequence, optional

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> def power(base, exponent):
    ...     return base**exponent
    >>> parts = identity(power, {"base": [2, 3], "exponent": range(4)})
    >>> list(parts)
    ['function', 'code of power', 'values of base', 'values of exponent']
    >>> parts["values of exponent"]
    '4 with digest 39ce9593'
    """
    parts = {"function": name_of(function)}
    _add_code(parts, function)
    axes = cells if isinstance(cells, Mapping) else {"the cells": cells}
    for name, values in axes.items():
        digest = _digest(list(values))
        parts[f"values of {name}"] = f"{len(values)} with digest {digest}"
    if seed is not None:
        parts["seed"] = f"{seed.entropy}" + (f" {seed.spawn_key}" if seed.spawn_key else "")
    return parts


def name_of(function):
    """The name of a function, also of one with arguments bound to it."""
    if isinstance(function, partial):
        return name_of(function.func)
    return getattr(function, "__qualname__", type(function).__qualname__).rpartition(".")[2]


def _add_code(parts, function, name=None):
    name = name or name_of(function)
    if isinstance(function, partial):
        parts[f"arguments bound to {name}"] = _digest([function.args, function.keywords])
        return _add_code(parts, function.func, name)
    parts[f"code of {name}"] = _digest(function)
    if not isinstance(function, types.FunctionType):
        return
    if function.__defaults__ or function.__kwdefaults__:
        parts[f"defaults of {name}"] = _digest([function.__defaults__, function.__kwdefaults__])
    for taken, value in _taken_from_around(function):
        if isinstance(value, types.FunctionType):
            if value.__module__ == function.__module__ and f"code of {taken}" not in parts:
                _add_code(parts, value, taken)
        elif not isinstance(value, types.ModuleType | type | types.BuiltinFunctionType):
            parts[f"value of {taken}"] = _digest(value)


def _taken_from_around(function):
    """Names and values of the globals and of the enclosing scopes that a function reads."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents
    for name in sorted(_globals_read(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _globals_read(code):
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    inner = [entry for entry in code.co_consts if isinstance(entry, types.CodeType)]
    return names.union(*map(_globals_read, inner))


def _digest(value):
    return hashlib.sha256(_text(value).encode()).hexdigest()[:8]


def _text(value):
    """A text that two values share only if they are equal, the same in every process."""
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return f"{value.dtype.str}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(_text, value))})"
    if isinstance(value, set | frozenset):
        return f"set({', '.join(sorted(map(_text, value)))})"
    if isinstance(value, Mapping):
        return f"mapping({_text(list(value.items()))})"
    if isinstance(value, types.FunctionType):
        try:
            return inspect.getsource(value)
        except (OSError, TypeError):  # typed into a plain interpreter
            return f"{value.__code__.co_code.hex()} {value.__code__.co_names}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
