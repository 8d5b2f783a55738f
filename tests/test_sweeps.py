"""Sweeps: the same bits on every executor, failures with names, interruptions, files."""

import functools
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbook.sweeps
from gdbook.sweep_file import SweepFile, identity
from gdbook.sweeps import Failure, Sweep, sweep

quiet = functools.partial(sweep, progress=False)


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Functions in a module that other processes find, too."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "swept_functions.py").write_text(FUNCTIONS, encoding="utf-8")
    sys.path.insert(0, str(folder))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    import swept_functions

    yield swept_functions
    sys.path.remove(str(folder))
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


FUNCTIONS = '''
import os, sys, time
import numpy as np

def descend(learning_rate, steps, rng):
    """A hundred starts of gradient descent on the double well."""
    x = rng.uniform(-1.5, 1.5, size=100)
    for _ in range(steps):
        x = x - learning_rate * (x * x * x - x)
    return x

def fails(n):
    if n % 5 == 3:
        raise ValueError(f"{n} is not for us")
    return n

def leaves(n):
    sys.exit("enough")

def cannot_be_sent(n):
    return (lambda: n) if n == 2 else n

def kills(n, marker=""):
    time.sleep(0.01)
    if n == 7 and not os.path.exists(marker):
        if marker:
            open(marker, "w").close()
        os._exit(1)
    return n

def slow(n, seconds=0.02, marker=""):
    time.sleep(seconds)
    if n == 10 and marker:
        open(marker, "w").close()
    return n * n

def uneven(n):
    if n >= 5000:
        time.sleep(0.05)
    return n
'''

GRID = {"learning_rate": np.linspace(0.1, 0.6, 12), "steps": (50, 100)}


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes(module):
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        yield pool


@pytest.fixture(scope="module")
def loky(module):
    from loky import get_reusable_executor

    executor = get_reusable_executor(2)
    yield executor
    executor.shutdown(kill_workers=True)


@pytest.fixture(scope="module")
def dask(module):
    from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client.get_executor(pure=False)


class Elsewhere(Executor):
    """An executor of nobody's: a thread for each task."""

    def submit(self, task):
        future = Future()
        threading.Thread(target=lambda: future.set_result(task())).start()
        return future


every_executor = pytest.mark.parametrize("name", ["threads", "processes", "loky", "dask"])


def digest(swept):
    return hashlib.sha256(swept.array().tobytes()).hexdigest()


# ------------------------------------------------------------------------------ the same bits


@every_executor
def test_bits_are_those_of_the_calling_process(name, module, request):
    serial = quiet(module.descend, GRID, rng=3)
    assert serial.done.all() and serial.array().shape == (12, 2, 100)
    elsewhere = quiet(module.descend, GRID, request.getfixturevalue(name), rng=3)
    assert digest(elsewhere) == digest(serial)
    assert digest(quiet(module.descend, GRID, rng=4)) != digest(serial)


def test_any_executor_will_do(module):
    there = quiet(module.descend, GRID, Elsewhere(), rng=3)
    assert digest(there) == digest(quiet(module.descend, GRID, rng=3))


@pytest.mark.parametrize("name", ["threads", "loky", "dask"])
def test_functions_from_anywhere(name, request):
    shift = 2
    swept = quiet(lambda n: n + shift, {"n": range(4)}, request.getfixturevalue(name))
    assert swept.results == [2, 3, 4, 5]


def test_each_cell_has_the_stream_of_the_numbered_child(module):
    children = np.random.SeedSequence(5).spawn(24)
    swept = quiet(module.descend, GRID, rng=5)
    for i in (0, 7, 23):
        alone = module.descend(**swept.cells[i], rng=np.random.default_rng(children[i]))
        np.testing.assert_array_equal(swept.results[i], alone)


def test_seeds():
    def draw(n, rng):
        return rng.integers(2**62)

    def results(rng):
        return quiet(draw, {"n": range(5)}, rng=rng).results

    assert results(None) == results(0) != results(1)
    sequence = np.random.SeedSequence(7, spawn_key=(2,), pool_size=8)
    assert results(sequence) == results(sequence)
    children = [np.random.default_rng(child) for child in sequence.spawn(5)]
    assert results(sequence) == [generator.integers(2**62) for generator in children]
    generator = np.random.default_rng(1)
    assert (first := results(generator)) != results(generator)
    assert results(np.random.default_rng(1)) == first
    assert len(set(first)) == 5


# -------------------------------------------------------------------------------- the grid


def test_last_name_runs_fastest():
    swept = quiet(lambda a, b: 10 * a + b, {"a": [1, 2], "b": (i for i in (3, 4, 4))})
    assert swept.results == [13, 14, 14, 23, 24, 24]
    assert swept.array().tolist() == [[13, 14, 14], [23, 24, 24]]
    assert swept.grid == {"a": (1, 2), "b": (3, 4, 4)} and swept.shape == (2, 3)
    assert swept.cells[1] == {"a": 1, "b": 4}


@given(st.lists(st.integers(0, 4), max_size=4))
@settings(deadline=None, max_examples=30)
def test_grids_of_every_size(lengths):
    grid = {f"x{i}": np.arange(length) for i, length in enumerate(lengths)}
    swept = quiet(lambda **cell: sum(cell.values()), grid)
    expected = sum(np.meshgrid(*grid.values(), indexing="ij"), np.zeros(lengths, dtype=int))
    np.testing.assert_array_equal(swept.array(), expected)
    assert swept.array().shape == tuple(lengths)


def test_cells_given_one_by_one():
    swept = quiet(lambda a, b=1: (a, b), [{"a": 2}, {"a": 3, "b": 4}])
    assert swept.results == [(2, 1), (3, 4)] and swept.grid is None and swept.shape == (2,)
    assert quiet(lambda a: a, []).array().shape == (0,)


@every_executor
def test_no_cell_and_one_cell(name, module, request):
    executor = request.getfixturevalue(name)
    assert quiet(module.slow, {"n": []}, executor).results == []
    assert quiet(module.slow, {"n": [np.int64(3)]}, executor).results == [9]


def test_results_of_several_shapes_are_no_array():
    with pytest.raises(TypeError, match="of one shape"):
        quiet(lambda n: np.zeros(n), {"n": [1, 2]}).array()
    with pytest.raises(TypeError, match="results of <lambda> are not numbers"):
        quiet(lambda n: object(), {"n": [1, 2]}).array()


@pytest.mark.parametrize(
    "error, message, call",
    [
        (TypeError, "function must be callable, not 3", lambda: sweep(3, {})),
        (TypeError, "grid must map names", lambda: sweep(abs, 3)),
        (TypeError, "grid must map names", lambda: sweep(abs, "abc")),
        (TypeError, "cells that map names to values, not 3", lambda: sweep(abs, [3])),
        (TypeError, r"grid\['a'\] must be a sequence of values, not 1.5", lambda: f(a=1.5)),
        (TypeError, r"grid\['a'\] must be a sequence of values, not 'xy'", lambda: f(a="xy")),
        (TypeError, r"grid\['a'\] must be a sequence", lambda: f(a=np.float64(3))),
        (
            ValueError,
            "names 'c', which g does not take by name; it takes a, b, rng",
            lambda: f(c=[]),
        ),
        (ValueError, "does not name 'a', which g needs", lambda: f(b=[1])),
        (ValueError, "must not name 'rng'", lambda: f(a=[1], rng=[1])),
        (ValueError, "rng is given, but", lambda: sweep(lambda a: a, {"a": [1]}, rng=3)),
        (ValueError, "rng must be a whole number", lambda: sweep(g, {"a": [1]}, rng=-3)),
        (TypeError, "rng must be a whole number", lambda: sweep(g, {"a": [1]}, rng="seed")),
        (TypeError, "executor must be a concurrent", lambda: sweep(g, {"a": [1]}, executor=4)),
        (TypeError, "file must be a path, not 3", lambda: sweep(g, {"a": [1]}, file=3)),
    ],
)
def test_bad_input_is_named(error, message, call):
    with pytest.raises(error, match=message):
        call()


def g(a, b=1, *, rng):
    raise AssertionError("nothing may be computed")


def f(**grid):
    return quiet(g, grid)


def test_a_client_is_not_its_executor(dask):
    with pytest.raises(TypeError, match=r"client.get_executor\(pure=False\)"):
        quiet(g, {"a": [1]}, dask._client)


# --------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("name", [None, "threads", "processes", "loky", "dask"])
def test_a_failure_is_the_result_of_its_cell(name, module, request):
    executor = name and request.getfixturevalue(name)
    swept = quiet(module.fails, {"n": range(20)}, executor)
    assert list(swept.failures) == [3, 8, 13, 18] == np.flatnonzero(~swept.done).tolist()
    failure = swept.results[8]
    assert isinstance(failure, Failure) and failure.cell == {"n": 8}
    assert failure.error == "ValueError: 8 is not for us"
    assert "in fails" in failure.traceback and "sweeps.py" not in failure.traceback
    assert [n for n in swept.results if isinstance(n, int)] == [n for n in range(20) if n % 5 != 3]
    assert repr(swept) == (
        "Sweep of fails over n: 20 cells, 16 done, 4 failed, first n=3: ValueError: 3 is not for us"
    )
    with pytest.raises(ValueError, match="fill must be given where results are missing: Sweep"):
        swept.array()
    filled = swept.array(fill=np.nan)
    assert np.isnan(filled[~swept.done]).all() and filled[4] == 4


def test_leaving_python_is_a_failure(module, threads):
    for executor in (None, threads):
        assert quiet(module.leaves, {"n": [1]}, executor).results[0].error == "SystemExit: enough"


def test_a_sweep_of_failures_alone():
    swept = quiet(lambda n: 1 / 0, {"n": range(3)})
    assert len(swept.failures) == 3 and np.isnan(swept.array(fill=np.nan)).all()


@pytest.mark.parametrize("name", ["processes", "loky"])
def test_a_result_that_cannot_be_sent_is_a_failure(name, module, request):
    swept = quiet(module.cannot_be_sent, {"n": range(5)}, request.getfixturevalue(name))
    if name == "processes":  # loky sends functions, too
        assert list(swept.failures) == [2] and "lambda" in swept.results[2].error
    assert [swept.results[i] for i in (0, 1, 3, 4)] == [0, 1, 3, 4]


def test_functions_that_processes_cannot_import(processes):
    with pytest.raises(TypeError, match=r"<lambda> cannot be sent .* define <lambda> in a"):
        quiet(lambda n: n, {"n": [1]}, processes)


def test_functions_of_a_script_without_file(module):
    # The pool breaks, for its processes find no such function; nothing hangs.
    code = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from gdbook.sweeps import sweep
def local(n):
    return n
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
    try:
        sweep(local, {"n": [1]}, pool)
    except TypeError as error:
        print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "function local cannot be sent to the executor (BrokenProcessPool" in run.stdout


@pytest.mark.parametrize("name", ["processes", "loky"])
def test_a_worker_that_dies(name, module):
    from loky import get_reusable_executor

    spawn = multiprocessing.get_context("spawn")
    grid = {"n": range(60)}
    pools = {
        "processes": lambda: ProcessPoolExecutor(2, mp_context=spawn),
        "loky": lambda: get_reusable_executor(2),
    }
    with pools[name]() as pool, warnings.catch_warnings():
        # loky warns of the death that this test brings about.
        warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
        swept = quiet(module.kills, grid, pool)
    assert swept.interrupted and not swept.done[7]
    assert 7 in swept.failures
    assert "BrokenProcessPool" in swept.results[7].error or "Terminated" in swept.results[7].error
    assert "Sweep of kills over n: interrupted, 60 cells," in repr(swept)
    assert [swept.results[i] for i in np.flatnonzero(swept.done)] == np.flatnonzero(
        swept.done
    ).tolist()


def test_a_worker_that_is_replaced(module, dask, tmp_path):
    swept = quiet(module.kills, {"n": range(60), "marker": [str(tmp_path / "dead")]}, dask)
    assert swept.results == list(range(60)) and (tmp_path / "dead").exists()


def test_an_executor_that_was_shut_down(module):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        quiet(module.slow, {"n": [1]}, pool)


def test_an_executor_that_is_shut_down_meanwhile(module):
    pool = ThreadPoolExecutor(1)
    threading.Timer(0.5, pool.shutdown).start()
    swept = quiet(module.slow, {"n": range(200)}, pool)
    assert swept.interrupted and 0 < swept.done.sum() < 200


# ------------------------------------------------------------------------------------ chunks


class Counting(ThreadPoolExecutor):
    def __init__(self):
        super().__init__(2)
        self.chunks = []

    def submit(self, chunk):
        self.chunks.append(len(chunk.cells))
        return super().submit(chunk)


def test_cheap_cells_travel_together():
    pool = Counting()
    with pool:
        assert quiet(lambda n: n, {"n": range(20_000)}, pool).done.all()
    assert max(pool.chunks) > 500 and len(pool.chunks) < 400


def test_dear_cells_travel_alone(module):
    pool = Counting()
    with pool:
        assert quiet(module.slow, {"n": range(6), "seconds": [0.25]}, pool).done.all()
    assert max(pool.chunks) == 1


def test_cells_of_unequal_cost_are_given_back(module):
    pool = Counting()
    with pool:
        swept = quiet(module.uneven, {"n": range(5030)}, pool)
    assert swept.results == list(range(5030))
    assert sum(pool.chunks) > 5030  # what came back was sent again


def test_number_of_chunks_follows_the_workers():
    plan = gdbook.sweeps._Plan(range(10_000), round_trip=0.001, most=10_000)
    for _ in range(200):  # nothing waits: there are more workers than chunks
        plan.learn(10, 0.2, 0.201)
    assert plan.limit > 150
    for _ in range(300):  # everything waits: there are fewer
        plan.learn(10, 0.2, 2.0)
    assert plan.limit == 2
    assert plan.cost == pytest.approx(0.02) and len(plan.take()) == 10


def test_chunks_are_long_where_the_way_is_long():
    plan = gdbook.sweeps._Plan(range(10**6), round_trip=0.1, most=10**6)
    plan.learn(100, 0.1, 0.2)
    assert len(plan.take()) == pytest.approx(2000, abs=1)  # 2 s of 1 ms each: 20 times 0.1 s


# -------------------------------------------------------------------------------------- files


def test_file_keeps_every_kind_of_result_to_the_bit(tmp_path):
    values = [
        *(1, -(2**80), 0.1, -0.0, np.inf, -np.nan, True, None, "läßt ♥", 1 + 2j, complex(np.nan)),
        *(np.float64(0.1), np.float32(0.1), np.bool_(True), np.int8(3), np.str_("a")),
        *(np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.array("2020", dtype="M8[D]")),
        *([1, (2.5, [np.ones(2)])], {"a": 1, (1, 2): {"b": np.pi}}, (), [], {}),
    ]
    grid = {"n": range(len(values))}

    def value(n):
        return values[n]

    quiet(value, grid, file=tmp_path / "kept")
    again = quiet(value, grid, file=tmp_path / "kept")
    for there, here in zip(again.results, values, strict=True):
        assert type(there) is type(here)
        assert repr(there) == repr(here)
        if isinstance(here, float | np.ndarray):
            assert np.asarray(there).tobytes() == np.asarray(here).tobytes()


def test_file_cannot_hold_everything(tmp_path):
    swept = quiet(lambda n: {n} if n == 1 else n, {"n": range(3)}, file=tmp_path / "kept")
    assert swept.results[1].error == "TypeError: a file cannot hold a result of type set"
    assert [swept.results[i] for i in (0, 2)] == [0, 2]
    swept = quiet(lambda n: np.array([None]), {"n": [1]}, file=tmp_path / "other")
    assert "ValueError: Object arrays" in swept.results[0].error


class Recording:
    """A function that remembers its calls."""

    def __init__(self):
        self.calls, self.disk_is_there = [], False

    def __call__(self, n):
        self.calls.append(n)
        if n == 2 and not self.disk_is_there:
            raise OSError("the disk is away")
        return n


def test_done_cells_are_not_computed_again_and_failures_are(tmp_path):
    function, grid, file = Recording(), {"n": range(4)}, tmp_path / "kept"
    assert list(quiet(function, grid, file=file).failures) == [2]
    function.disk_is_there = True
    assert quiet(function, grid, file=file).results == [0, 1, 2, 3]
    assert function.calls == [0, 1, 2, 3, 2]
    assert quiet(function, grid, file=file).done.all() and len(function.calls) == 5


@pytest.mark.parametrize("name", [None, "threads", "dask"])
def test_resumed_bits_are_those_of_one_run(name, module, tmp_path, request):
    file = tmp_path / "kept"
    whole = quiet(module.descend, GRID, rng=3, file=file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:1] + lines[3:9]))
    executor = name and request.getfixturevalue(name)
    assert digest(quiet(module.descend, GRID, executor, rng=3, file=file)) == digest(whole)
    assert sorted(file.read_bytes().splitlines()) == sorted(line.strip() for line in lines)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],  # a last line without its end
        lambda text: text[:-40],
        lambda text: text + b"0badf00d [5, 5",
        lambda text: text[: len(text) // 2] + b"?" + text[len(text) // 2 + 1 :],
        lambda text: text[: text.index(b"\n") + 1],
        lambda text: text[:20],  # the crash came with the first line
        lambda text: b"",
        lambda text: text + b"\n\n\xff\x00\n",
    ],
)
def test_a_damaged_file_is_mended(damage, module, tmp_path):
    file = tmp_path / "kept"
    whole = quiet(module.descend, GRID, file=file)
    file.write_bytes(damage(file.read_bytes()))
    assert digest(quiet(module.descend, GRID, file=file)) == digest(whole)
    assert len(SweepFile(file, identity(module.descend, GRID, np.random.SeedSequence(0))).read())


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_crash_at_any_byte(cut, tmp_path):
    grid, file = {"base": range(6), "exp": [2]}, tmp_path / "kept"
    quiet(pow, grid, file=file)
    file.write_bytes(file.read_bytes()[: -cut or None])
    assert quiet(pow, grid, file=file).results == [0, 1, 4, 9, 16, 25]


def test_the_file_of_another_sweep_is_refused(module, tmp_path):
    file = tmp_path / "kept"
    quiet(module.descend, GRID, rng=3, file=file)
    text = file.read_bytes()
    for function, grid, rng, difference in [
        (module.descend, GRID, 4, "another sweep: seed is 3 there and 4 here$"),
        (module.descend, GRID | {"steps": [50, 101]}, 3, "sweep: values of steps is 2 with digest"),
        (module.descend, GRID | {"steps": [50]}, 3, "and 1 with digest"),
        (module.slow, {"n": [1]}, None, "function is descend there and slow here"),
    ]:
        with pytest.raises(ValueError, match=difference):
            quiet(function, grid, rng=rng, file=file)
    assert file.read_bytes() == text


def test_no_other_file_is_touched(tmp_path):
    file = tmp_path / "thesis.txt"
    file.write_bytes(b"years of work")
    with pytest.raises(ValueError, match=r"thesis.txt is no file of a sweep; it is left as it is"):
        quiet(lambda n: n, {"n": [1]}, file=file)
    assert file.read_bytes() == b"years of work"
    with pytest.raises(FileNotFoundError):
        quiet(lambda n: n, {"n": [1]}, file=tmp_path / "absent" / "kept")


def defined(text, **names):
    """A function from its text, as a notebook has it: only the code is there, no file."""
    names["__name__"] = "notebook"
    exec(text, names)
    return names["function"]


def test_what_the_function_takes_from_around_belongs_to_the_sweep():
    def parts(text="def function(n): return helper(n) + LIMIT", **names):
        helper = defined("def function(n): return n + 1", **names)
        return identity(defined(text, helper=helper, **names), {"n": [1]})

    assert parts(LIMIT=3) == parts(LIMIT=3)
    changed = {k for k, v in parts(LIMIT=3).items() if parts(LIMIT=4)[k] != v}
    assert changed == {"value of LIMIT"}
    inner = "def function(n): return [LIMIT for _ in range(n)]"
    assert parts(inner, LIMIT=np.ones(3)) != parts(inner, LIMIT=np.ones(4))
    attribute = "def function(n): return n.LIMIT"
    assert parts(attribute, LIMIT=1) == parts(attribute, LIMIT=2)

    def make(power, helper=abs):
        return lambda n: helper(n) ** power

    grid = {"n": [1]}
    assert identity(make(2), grid) == identity(make(2), grid) != identity(make(3), grid)
    bound = functools.partial(pow, 2)
    assert identity(bound, grid) != identity(functools.partial(pow, 3), grid)
    assert identity(bound, grid) == identity(functools.partial(pow, 2), grid)


def begin(code, **environment):
    """A fresh interpreter at work."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_identity_is_the_same_in_every_process():
    code = """
from gdbook import catalogue
from gdbook.sweep_file import identity
objective, names = catalogue.double_well(), {"a", "b", "c", "d"}
def function(n):
    return objective.value(n), names
print(identity(function, {"n": [1.5, None, {"a", "b", "c"}]}))
"""
    runs = [begin(code, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    first, second = (run.communicate()[0] for run in runs)
    assert first == second and "value of names" in first


# -------------------------------------------------------------------------------- interruptions

CHILD = """
import multiprocessing, signal, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from gdbook.sweeps import sweep
import swept_functions

signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background ignores it

def main(kind, file):
    pools = {{
        "processes": lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
        "threads": lambda: ThreadPoolExecutor(2),
    }}
    pool = pools[kind]() if kind in pools else None
    grid = {{"n": range(1000)}} | ({{}} if file else {{"marker": [{marker!r}]}})
    swept = sweep(swept_functions.slow, grid, pool, progress=False, file=file)
    if pool:
        pool.shutdown()
    right = all(swept.results[i] == i * i for i in range(1000) if swept.done[i])
    print(swept.interrupted, swept.done.sum(), right, len(swept.failures), flush=True)

if __name__ == "__main__":
    main({kind!r}, {file!r})
"""


def start(tmp_path, kind, file=None):
    """A sweep of 20 s in a process of its own, at work when this returns."""
    script, marker = tmp_path / "child.py", tmp_path / "at work"
    text = CHILD.format(kind=kind, file=file and str(file), marker=str(marker))
    script.write_text(text, encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (marker.exists() or (file and file.exists() and file.read_bytes().count(b"\n") > 20)):
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    return child


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signal to one process")
@pytest.mark.parametrize("kind", ["here", "threads", "processes"])
def test_control_c_keeps_what_is_done(kind, module, tmp_path):
    child = start(tmp_path, kind)
    child.send_signal(signal.SIGINT)
    output, errors = child.communicate(timeout=30)
    interrupted, done, right, failed = output.split()
    assert (interrupted, right, failed) == ("True", "True", "0"), errors
    assert 0 < int(done) < 1000


def test_a_killed_sweep_is_continued(module, tmp_path):
    file = tmp_path / "kept"
    child = start(tmp_path, "here", file)
    child.kill()
    child.communicate()
    kept = file.read_bytes()
    with ThreadPoolExecutor(40) as pool:
        swept = quiet(module.slow, {"n": range(1000)}, pool, file=file)
    assert swept.results == [n * n for n in range(1000)]
    now = file.read_bytes()
    assert now.startswith(kept)
    assert 1001 <= len(now.splitlines()) <= 1002  # one may have been cut short


def test_an_interrupted_worker_interrupts_the_sweep(threads):
    def interrupts(n):
        if n == 5:
            raise KeyboardInterrupt
        return n

    for executor in (None, threads):
        swept = quiet(interrupts, {"n": range(50)}, executor)
        assert swept.interrupted and not swept.done[5] and not swept.failures
        assert swept.results[4] == 4 and swept.results[5] is None


# ------------------------------------------------------------------------------------ the bar


def test_bar_is_shown_only_for_long_work():
    head = "from gdbook.sweeps import sweep; import time; "
    long = head + 'sweep(lambda n: time.sleep(0.3), {"n": range(6)})'
    runs = [
        begin(long, TQDM_DISABLE=""),
        begin(head + 'sweep(lambda n: n, {"n": range(6)})', TQDM_DISABLE=""),
        begin(long, TQDM_DISABLE="1"),
        begin(long.replace("})", "}, progress=False)"), TQDM_DISABLE=""),
    ]
    bar, *others = (run.communicate()[1] for run in runs)
    assert "<lambda>: 100%" in bar and "6/6" in bar and "cell/s" in bar
    assert others == ["", "", ""]


def test_a_sweep_is_frozen_and_shows_itself():
    swept = quiet(lambda n: n, {"n": [1, 2]})
    assert isinstance(swept, Sweep)
    assert repr(swept) == "Sweep of <lambda> over n: 2 cells, all done"
    with pytest.raises(AttributeError):
        swept.results = []
