"""From the text of a kernel to a compiled function, through a folder that keeps what was compiled.

Numba compiles a text to machine code, once; the code is kept as an object file, which LLVM's
linker loads in milliseconds, without Numba. Every text has a folder of its own, named by a hash of
the text, the compiler and the processor, in

* ``$NUMBA_CACHE_DIR/gdbook``, where that variable is set;
* the user's cache folder for ``gdbook`` otherwise.

So what another processor or another version compiled is never loaded. Of several processes one
compiles and the others wait; files are put in place whole; one that was damaged is recognised by
its checksum and made anew; where nothing can be written, every process compiles for itself. A
folder holds ``kernel.py``, to be read, and may be deleted at any time.
"""

import ctypes
import gc
import hashlib
import json
import os
import platform
import tempfile
import threading
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

__all__ = ["cache_folder", "load"]

_lock = threading.RLock()
_functions = {}
_engines = []  # own the machine code

# Called on the way to an exception, which no kernel raises.
_UNREACHABLE = ("numba_gil_ensure", "numba_gil_release", "NRT_MemInfo_call_dtor")


def load(text, kernel):
    """The compiled function of a kernel, or None where there is no compiler.

    Parameters
    ----------
    text : str
        As :func:`gdbook.kernels.generate.text` writes it.
    kernel : gdbook.kernels.generate.Kernel
        Its arguments.

    Returns
    -------
    callable, or None
        Takes the numbers, then the arrays, which it may change; other threads run meanwhile.
    """
    with _lock:
        if text not in _functions:
            _functions[text] = _load(text, kernel)
        return _functions[text]


def cache_folder():
    """Where compiled kernels are kept.

    Examples
    --------
    >>> cache_folder().name
    'gdbook'
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen) / "gdbook"
    import platformdirs

    return platformdirs.user_cache_path("gdbook", appauthor=False)


def _load(text, kernel):
    key = _key(text)
    if key is None:
        return None
    folder = cache_folder() / f"{kernel.name}-{key}"
    code = _read(folder)
    if code is None:
        with _alone(folder):  # another process may have compiled it meanwhile
            code = _read(folder) or _compiled(text, kernel.name, folder)
            if code is None:
                return None
            _write(folder / "kernel.o", code)
    address = _linked(code)
    return None if address is None else _python_function(address, kernel)


@contextmanager
def _alone(folder):
    """One process at a time, where the folder can be written; for a minute at most."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "kernel.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=60)
    except (OSError, NotImplementedError, Timeout):
        pass
    try:
        yield
    finally:
        lock.release()


def _key(text):
    """Hash of all that the machine code depends on; None where Numba is missing or turned off."""
    try:
        import llvmlite.binding as llvm

        versions = [version("numba"), version("llvmlite"), platform.python_version()]
    except (ImportError, PackageNotFoundError):
        return None
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return None
    machine = [platform.system(), platform.machine(), *_processor(llvm)]
    return hashlib.sha256("\0".join([text, *versions, *machine]).encode()).hexdigest()[:20]


def _processor(llvm):
    """Name and features of the processor that code is made for, as Numba sees it."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES")
    return name, llvm.get_host_cpu_features().flatten() if features is None else features


# What is kept: a line of JSON with the checksum of the rest, the function's symbol and the symbols
# that it calls, and then the object file.


def _read(folder):
    try:
        head, _, code = (folder / "kernel.o").read_bytes().partition(b"\n")
        head = json.loads(head)
        if head["checksum"] == hashlib.sha256(code).hexdigest():
            return head["symbol"], head["calls"], code
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(path, content):
    if isinstance(content, tuple):
        symbol, calls, code = content
        head = {"checksum": hashlib.sha256(code).hexdigest(), "symbol": symbol, "calls": calls}
        content = json.dumps(head).encode() + b"\n" + code
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            name = file.name
            file.write(content)
        os.replace(name, path)  # whole or not at all
    except OSError:  # a full disk, a folder that is not ours: then without
        if name is not None and os.path.exists(name):
            os.unlink(name)


def _compiled(text, name, folder):
    """Symbol, called symbols and object file of the function `name`; None without Numba."""
    try:
        import llvmlite.binding as llvm
        import numba  # noqa: F401
    except ImportError:  # also what Numba raises for a version of NumPy that it does not know
        return None
    _write(folder / "kernel.py", text.encode())
    namespace = {"__name__": f"gdbook.kernels.{name}"}
    with _collector_at_rest():
        exec(compile(text, str(folder / "kernel.py"), "exec"), namespace)
    function = namespace[name]
    module = llvm.parse_assembly(function.inspect_llvm())
    calls = [f.name for f in module.functions if f.is_declaration and "." not in f.name]
    return function.native_name, calls, _machine(llvm).emit_object(module)


@contextmanager
def _collector_at_rest():
    """Numba makes objects by the million; to look for garbage among them costs a quarter more."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=1)
def _machine(llvm):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = _processor(llvm)
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="default", codemodel="jitdefault", jit=True
    )


def _linked(code):
    """Address of the function in an object file; None where a symbol that it calls is missing."""
    import llvmlite.binding as llvm

    symbol, calls, data = code
    # An engine also makes LLVM look for symbols in this process.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(llvm))
    unknown = [name for name in calls if not llvm.address_of_symbol(name)]
    if set(unknown) - set(_UNREACHABLE):
        try:
            import numba.core.registry
        except ImportError:
            return None
        # Numba knows functions that the C library here lacks, and tells LLVM of them.
        numba.core.registry.cpu_target.target_context.refresh()
    for name in unknown:
        if not llvm.address_of_symbol(name):
            llvm.add_symbol(name, ctypes.cast(_nothing, ctypes.c_void_p).value)
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address(symbol)


@ctypes.CFUNCTYPE(None)
def _nothing():
    pass


def _python_function(address, kernel):
    numbers = [_C_TYPES[dtype] for _, dtype in kernel.numbers]
    dtypes = [np.dtype(dtype) for _, dtype, _ in kernel.arrays]
    function = ctypes.CFUNCTYPE(None, *numbers, *[ctypes.c_void_p] * len(dtypes))(address)

    def call(*arguments):
        values, arrays = arguments[: len(numbers)], arguments[len(numbers) :]
        for array, dtype in zip(arrays, dtypes, strict=True):
            assert array.dtype == dtype and array.flags.c_contiguous, "an array of another form"
        function(*values, *[array.ctypes.data for array in arrays])

    return call


_C_TYPES = {"int64": ctypes.c_int64, "float64": ctypes.c_double}
