"""Parameter sweeps: one function, many cells, any executor, the same bits."""

import inspect
import itertools
import os
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from gdbook import arguments
from gdbook.sweep_file import SweepFile, identity, name_of

__all__ = ["Failure", "Sweep", "sweep"]

_CHUNK = 0.2  # seconds: often enough to see progress, to keep a file up to date and to stop
_LONGEST_CHUNK = 10.0  # seconds, where an executor is slow to answer
_GRACE = 1.0  # seconds that what is running gets to finish after an interruption


@dataclass(frozen=True, eq=False)
class Failure:
    """What stands in place of the result of a cell whose function raised an error.

    Attributes
    ----------
    cell : dict
        The arguments.
    error : str
        Kind and message of the error.
    traceback : str
        Where it came from.
    """

    cell: dict
    error: str
    traceback: str = field(default="", repr=False)

    def __str__(self):
        line = self.error.partition("\n")[0]
        return f"{_named(self.cell)}: {line if len(line) <= 100 else line[:99] + '…'}"


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Results of a function over a grid.

    Attributes
    ----------
    name : str
        Of the function.
    grid : dict of str to tuple, or None
        The values along each axis; None where the cells were given one by one.
    cells : tuple of dict
        The arguments of each cell, the last name of the grid running fastest.
    shape : tuple of int
        Of the grid; ``(n,)`` for n cells given one by one.
    results : list
        One entry for each cell: what the function returned, a `Failure` where it raised an error,
        None where the sweep was interrupted before.
    done : ndarray of bool, shape (n,)
        Where the function returned.
    interrupted : bool
        Whether the sweep was stopped, by the user or by the end of its workers.

    Examples
    --------
    >>> swept = sweep(pow, [{"base": 2, "exp": 5}, {"base": 0, "exp": -1}])
    >>> swept
    Sweep of pow: 2 cells, 1 done, 1 failed, first base=0, exp=-1: ZeroDivisionError: \
0.0 cannot be raised to a negative power
    >>> swept.array(fill=np.nan)
    array([32., nan])
    """

    name: str
    grid: dict | None
    cells: tuple
    shape: tuple
    results: list
    done: np.ndarray
    interrupted: bool

    @property
    def failures(self):
        """The failures, by the numbers of their cells: dict of int to `Failure`."""
        return {i: value for i, value in enumerate(self.results) if isinstance(value, Failure)}

    def array(self, fill=None):
        """Results as one array, where they are numbers or arrays of one shape.

        Parameters
        ----------
        fill : number, optional
            What stands where there is no result. Without it a missing result is an error.

        Returns
        -------
        ndarray
            Its shape is that of the grid, followed by that of one result.
        """
        if fill is None and not self.done.all():
            raise ValueError(f"fill must be given where results are missing: {self!r}")
        present = [self.results[i] for i in np.flatnonzero(self.done)]
        try:
            values = np.array(present)
        except ValueError:
            values = np.array(None)
        if values.dtype.hasobject:
            raise TypeError(f"results of {self.name} are not numbers or arrays of one shape")
        if fill is not None:
            filled = np.full(
                (len(self.cells), *values.shape[1:]), fill, np.result_type(values, fill)
            )
            filled[self.done] = values
            values = filled
        return values.reshape(self.shape + values.shape[1:])

    def __repr__(self):
        axes = f" over {' × '.join(self.grid)}" if self.grid else ""
        counts = f"{len(self.cells)} cells, {'all' if self.done.all() else self.done.sum()} done"
        failures = self.failures
        if failures:
            counts += f", {len(failures)} failed, first {next(iter(failures.values()))}"
        return f"Sweep of {self.name}{axes}: {'interrupted, ' * self.interrupted}{counts}"


def sweep(function, grid, executor=None, rng=None, progress=True, *, file=None):
    r"""Call a function for every cell of a grid, here or on any executor, with the same results.

    Every cell has a stream of random numbers of its own, made from the seed and the number of the
    cell. So nothing depends on where, in which order or in which company a cell is computed.

    Parameters
    ----------
    function : callable
        Called as ``function(**cell)``; if it has a parameter ``rng``, as
        ``function(**cell, rng=generator)``. Processes import it from its module; one that is
        defined in a notebook needs threads, `loky` or Dask.
    grid : mapping of str to sequence, or sequence of mapping
        Values for each argument, of which every combination is a cell, the last name running
        fastest; or the cells themselves.
    executor : concurrent.futures.Executor, optional
        Threads, processes, ``loky.get_reusable_executor()``, or a Dask cluster by
        ``client.get_executor(pure=False)``; its workers need this package. Without one the cells
        are computed here, one after the other. It is not shut down.
    rng : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        Seed of the sweep, 0 unless given. Cell i has the stream of child i of
        ``SeedSequence(seed).spawn(n)``. From a generator a seed is drawn, so that a second sweep
        with it has other streams.
    progress : bool
        Whether to show a bar when the work takes over a second. The variable ``TQDM_DISABLE=1`` of
        the environment turns it off everywhere.
    file : str or os.PathLike, optional
        Where to keep results as they come. The same call with the same file, after a crash or an
        interruption, computes only what is missing; cells that failed are tried again. Results
        must be numbers, texts, None, arrays, or lists, tuples and dicts of these.

    Returns
    -------
    Sweep
        The error of a cell is its result, a `Failure`, and stops no other cell. Interrupted by
        Ctrl-C, the sweep returns what is done, with ``interrupted`` true. When the workers die,
        those cells that were with them have failed, the others that are missing were not begun.

    Raises
    ------
    ValueError, TypeError
        Before anything is computed: if the grid names what the function does not take or leaves
        out what it needs, if the function cannot be sent to the executor, or if the file belongs
        to a sweep of another function, grid or seed (it is left as it is).

    Notes
    -----
    Cells travel in chunks. The time that an empty one takes to come back, and the time that cells
    take, are measured while the sweep runs: a chunk takes about 0.2 s, and at least 20 times what
    sending it costs. A worker that finds its cells dearer than expected gives some back. The number
    of chunks under way is set so that each waits one to three times as long as it takes to compute,
    which keeps two to four of them for each worker, however many there are.

    The file tells its sweep by the text of the function, the values that it takes from around it,
    its helpers in the same module, the grid and the seed, not by what it imports.

    References
    ----------
    .. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
       1, 2, 3", SC 2011, on streams that are numbered instead of passed on.

    Examples
    --------
    >>> from gdbook import catalogue, gradient_descent
    >>> def escapes(learning_rate, start):
    ...     return gradient_descent(catalogue.quadratic(), start, learning_rate, 50).outcome.label
    >>> sweep(escapes, {"learning_rate": [0.5, 2.5], "start": [1.0, 2.0]}).array()
    array([['converged', 'converged'],
           ['diverged', 'diverged']], dtype='<U9')

    Threads give the same, and so does everything else:

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> def mean(n, rng):
    ...     return rng.normal(size=n).mean()
    >>> with ThreadPoolExecutor() as pool:
    ...     threads = sweep(mean, {"n": [10, 100, 1000]}, pool, rng=1)
    >>> bool((sweep(mean, {"n": [10, 100, 1000]}, rng=1).array() == threads.array()).all())
    True
    """
    if not callable(function):
        raise TypeError(f"function must be callable, not {function!r}")
    axes, cells = _cells(grid)
    seed = _seed(rng, _takes_rng(function, axes, cells))
    _require_executor(executor)
    record, results = None, {}
    if file is not None:
        record = SweepFile(file, identity(function, axes or cells, seed))
        results = record.read()
    interrupted = _Run(function, cells, seed, executor, record, results)(progress)
    everything = [results.get(i) for i in range(len(cells))]
    done = [i in results and not isinstance(results[i], Failure) for i in range(len(cells))]
    shape = (len(cells),) if axes is None else tuple(map(len, axes.values()))
    mask = np.array(done, dtype=bool)
    return Sweep(name_of(function), axes, cells, shape, everything, mask, interrupted)


# The arguments


def _cells(grid):
    """The axes of a grid, or None, and its cells."""
    if isinstance(grid, Mapping):
        axes = {name: _values(name, values) for name, values in grid.items()}
        product = itertools.product(*axes.values())
        return axes, tuple(dict(zip(axes, values, strict=True)) for values in product)
    if isinstance(grid, str) or not isinstance(grid, Iterable):
        raise TypeError(
            f"grid must map names to sequences of values, or be a sequence of cells, not {grid!r}"
        )
    cells = tuple(grid)
    for cell in cells:
        if not isinstance(cell, Mapping):
            raise TypeError(f"grid must hold cells that map names to values, not {cell!r}")
    return None, tuple(map(dict, cells))


def _values(name, values):
    try:
        if isinstance(values, str | bytes | Mapping):
            raise TypeError
        return tuple(values)
    except TypeError:
        raise TypeError(f"grid[{name!r}] must be a sequence of values, not {values!r}") from None


def _takes_rng(function, axes, cells):
    """Whether a function wants random numbers; an error where it does not fit the cells."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C do not tell
        return False
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in parameters)
    parameters = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p.name for p in parameters if p.default is p.empty]
    for names in {tuple(cell) for cell in cells} if axes is None else {tuple(axes)}:
        if "rng" in names:
            raise ValueError("grid must not name 'rng': every cell gets a stream of its own")
        for name in names:
            if not (name in named or takes_all):
                raise ValueError(
                    f"grid names {name!r}, which {name_of(function)} does not take by name; "
                    f"it takes {', '.join(named) or 'nothing'}"
                )
        for name in needed:
            if name not in (*names, "rng"):
                raise ValueError(f"grid does not name {name!r}, which {name_of(function)} needs")
    return "rng" in named


def _seed(rng, wanted):
    if not wanted:
        if rng is not None:
            raise ValueError("rng is given, but function has no parameter of that name")
        return None
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence(rng.integers(2**32, size=4).tolist())
    return np.random.SeedSequence(0 if rng is None else arguments.natural(rng, "rng"))


def _require_executor(executor):
    if executor is None or isinstance(executor, Executor):
        return
    hint = ""
    if hasattr(executor, "get_executor"):
        hint = "; a client of Dask gives one by client.get_executor(pure=False)"
    raise TypeError(f"executor must be a concurrent.futures.Executor, not {executor!r}{hint}")


def _named(cell):
    return ", ".join(f"{name}={value}" for name, value in cell.items())


# What a worker does


@dataclass(frozen=True, repr=False)
class _Chunk:
    """Some cells and the time for them; a callable object, because Dask looks into arguments."""

    function: object
    cells: dict  # by their numbers
    seed: np.random.SeedSequence | None
    seconds: float

    @property
    def __name__(self):  # what Dask calls the task
        return name_of(self.function)

    def __call__(self):
        """Results by number, the seconds they took, and whether the worker was interrupted."""
        results, begin = {}, time.perf_counter()
        try:
            for number, cell in self.cells.items():
                results[number] = self.result(number, cell)
                if time.perf_counter() - begin > self.seconds:
                    break
        except KeyboardInterrupt:
            return results, time.perf_counter() - begin, True
        return results, time.perf_counter() - begin, False

    def result(self, number, cell):
        stream = {} if self.seed is None else {"rng": _stream(self.seed, number)}
        try:
            return self.function(**cell, **stream)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, it is this cell's alone
            # As text: not every exception survives the way between processes.
            kind = "".join(traceback.format_exception_only(error)).strip()
            trace = traceback.format_exception(type(error), error, error.__traceback__.tb_next)
            return Failure(cell, kind, "".join(trace))


def _stream(seed, number):
    child = np.random.SeedSequence(
        seed.entropy, spawn_key=(*seed.spawn_key, number), pool_size=seed.pool_size
    )
    return np.random.default_rng(child)


class _Here:
    """The calling process, with the one method of an executor that is used."""

    def submit(self, chunk):
        future = Future()
        future.set_result(chunk())
        return future


# What the caller does


class _Plan:
    """Which cells travel together, and how many chunks are under way, from what was measured."""

    def __init__(self, waiting, round_trip, most):
        self.waiting = deque(waiting)
        self.alone = set()  # cells that came back with an error that was not theirs alone
        self.cost = None  # seconds a cell
        self.shortest = min(20 * round_trip, _LONGEST_CHUNK)
        self.longest = max(_CHUNK, self.shortest)
        self.round_trip = round_trip
        self.most = most
        self.limit = min(2 * (os.cpu_count() or 1), most)

    def take(self):
        """Numbers of the cells of the next chunk; chunks shrink near the end, to end together."""
        first = self.waiting.popleft()
        if self.cost is None or first in self.alone:
            return [first]
        fair = (len(self.waiting) + 1) * self.cost / self.limit
        seconds = min(max(fair, self.shortest), self.longest)
        chunk = [first]
        while self.waiting and len(chunk) < seconds / self.cost:
            if self.waiting[0] in self.alone:
                break
            chunk.append(self.waiting.popleft())
        return chunk

    def learn(self, count, seconds, turnaround):
        """Take in that a chunk of so many cells took so long, and so long with the way."""
        cost = max(seconds, 1e-7) / max(count, 1)
        self.cost = cost if self.cost is None else (self.cost + cost) / 2
        waited, unit = turnaround - seconds - self.round_trip, max(seconds, self.longest)
        if waited < 0.75 * unit:
            self.limit = min(self.limit + 1, self.most)
        elif waited > 3 * unit:
            self.limit = max(self.limit - 1, 2)

    def again(self, cells, alone=False):
        self.waiting.extendleft(reversed(cells))
        if alone:
            self.alone.update(cells)


class _Lost(Exception):
    """The executor does not work any more."""


class _Run:
    """One run: chunks out, results in, whatever happens."""

    def __init__(self, function, cells, seed, executor, record, results):
        self.function, self.cells, self.seed = function, cells, seed
        self.executor, self.record, self.results = executor or _Here(), record, results
        self.running = {}  # the cells of each future, and when it was submitted

    def __call__(self, progress):
        """Compute what is missing; true if that was interrupted."""
        waiting = [i for i in range(len(self.cells)) if i not in self.results]
        if not waiting:
            return False
        try:
            round_trip, most = self.measured()
            self.plan = _Plan(waiting, round_trip, most)
            self.bar = self.progress_bar(progress)  # after the processes: it starts a thread
            with self.bar:
                self.work()
        except KeyboardInterrupt:
            self.stop()
            return True
        except _Lost as lost:
            self.stop()
            for cells, _ in self.running.values():
                self.give_up([i for i in cells if i not in self.results], lost.__cause__)
            return True
        finally:
            for future in self.running:
                future.cancel()
        return False

    def work(self):
        while self.plan.waiting or self.running:
            while self.plan.waiting and len(self.running) < self.plan.limit:
                self.submit(self.plan.take())
            # On Windows nothing interrupts a wait that has no end.
            ready, _ = wait(self.running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ready:
                self.collect(future)

    def measured(self):
        """Seconds that an empty chunk takes there and back, and the most chunks to have out."""
        if isinstance(self.executor, _Here):
            return 0.0, 1
        empty = _Chunk(self.function, {}, None, 0.0)
        self.answer(empty)  # starts the workers
        return min(self.timed(empty) for _ in range(3)), len(self.cells)

    def answer(self, empty):
        future = self.executor.submit(empty)
        try:
            future.result()
        except Exception as error:
            name = name_of(self.function)
            raise TypeError(
                f"function {name} cannot be sent to the executor "
                f"({type(error).__name__}: {error}). Processes import a function by its name: "
                f"define {name} in a module (in a script, start the sweep below "
                'if __name__ == "__main__"), or use threads or loky, which take every function'
            ) from error

    def timed(self, empty):
        begin = time.perf_counter()
        self.answer(empty)
        return time.perf_counter() - begin

    def progress_bar(self, progress):
        from tqdm import tqdm

        options = {} if progress else {"disable": True}  # given as False it would hide TQDM_DISABLE
        return tqdm(
            desc=name_of(self.function),
            total=len(self.cells),
            initial=len(self.results),
            unit="cell",
            delay=1,
            **options,
        )

    def submit(self, numbers):
        cells = {i: self.cells[i] for i in numbers}
        chunk = _Chunk(self.function, cells, self.seed, 2 * self.plan.longest)
        begin = time.perf_counter()
        try:
            future = self.executor.submit(chunk)
        except Exception as error:
            self.plan.again(numbers)
            raise _Lost from error
        self.running[future] = numbers, begin

    def collect(self, future):
        numbers, begin = self.running[future]
        try:
            results, seconds, interrupted = future.result()
        except BrokenExecutor as error:
            raise _Lost from error
        except Exception as error:
            # A result that cannot be sent back, or a worker that died and was replaced: whose
            # fault it is shows when each cell travels alone.
            if len(numbers) == 1:
                self.give_up(numbers, error)
            else:
                self.plan.again(numbers, alone=True)
        else:
            self.keep(results)
            self.plan.again([i for i in numbers if i not in results])
            self.plan.learn(len(results), seconds, time.perf_counter() - begin)
            if interrupted:
                raise KeyboardInterrupt
        del self.running[future]

    def keep(self, results):
        if self.record:
            good = {i: value for i, value in results.items() if not isinstance(value, Failure)}
            for i, reason in self.record.append(good).items():
                results[i] = Failure(self.cells[i], reason)
        self.results.update(results)
        self.bar.update(len(results))

    def give_up(self, numbers, error):
        for i in numbers:
            text = "".join(traceback.format_exception_only(error)).strip()
            self.results[i] = Failure(
                self.cells[i], text, "".join(traceback.format_exception(error))
            )
        self.bar.update(len(numbers))

    def stop(self):
        """Cancel what has not begun and keep what is finished; a second Ctrl-C ends the wait."""
        with suppress(KeyboardInterrupt):
            for future in self.running:  # those that a worker has begun are not cancelled by this
                future.cancel()
            ended, _ = wait(self.running, timeout=_GRACE)
            for future in ended:
                if not future.cancelled() and future.exception() is None:
                    self.keep(future.result()[0])
