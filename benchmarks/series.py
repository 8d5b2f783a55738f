"""Modified equations: the package against SymPy used in the obvious way, and against kauri."""

from benchmarks import harness
from benchmarks.harness import in_fresh_process, in_turn, milliseconds

# What the package promises: processor seconds on a machine whose reference loop takes 30-50 ms.
BARS = {
    ("(1-x*y)^2/2, order 10", "gdbook"): 0.25,
    ("(1-x*y)^2/2, order 10", "gdbook, python-flint"): 0.030,
    ("x^2/2 + x^4/4, order 20", "gdbook"): 0.3,
    ("exact at x = 1, order 70", "gdbook"): 1.0,
    ("trees of Euler, order 9", "gdbook"): 0.003,
    ("trees of the midpoint method, order 9", "gdbook"): 0.020,
}

# formula, variables, highest power of h, the methods that are timed
FIELDS = {
    "(1-x*y)^2/2, order 3": ("(1-x*y)^2/2", "x y", 3, ["gdbook", "recursion", "naive"]),
    "x^2/2 + x^4/4, order 4": ("x^2/2 + x^4/4", "x", 4, ["gdbook", "recursion", "naive"]),
    "(1-x*y)^2/2, order 6": ("(1-x*y)^2/2", "x y", 6, ["gdbook", "recursion"]),
    "(1-x*y)^2/2, order 10": ("(1-x*y)^2/2", "x y", 10, ["gdbook", "recursion"]),
    "x^2/2 + x^4/4, order 20": ("x^2/2 + x^4/4", "x", 20, ["gdbook", "recursion"]),
}
NAMES = {
    "gdbook": "gdbook",
    "recursion": "the same recursion on SymPy expressions",
    "naive": "SymPy: unknown terms from the expanded Taylor series",
}
LIMIT = 60


def report():
    rows = []
    for case, (*problem, methods) in FIELDS.items():
        timings = {NAMES[method]: _field(method, problem, "python") for method in methods}
        if harness.installed("python-flint"):
            timings["gdbook, python-flint"] = _field("gdbook", problem, "flint")
        rows += _rows(case, timings)
    exact = in_fresh_process("benchmarks.series:time_point")
    rows += _rows("exact at x = 1, order 70", exact)
    for method in ("Euler", "the midpoint method"):
        timings = in_fresh_process("benchmarks.series:time_trees", method, 9)
        rows += _rows(f"trees of {method}, order 9", timings)
    if harness.installed("kauri"):
        for order in (5, 6):
            timings = in_fresh_process("benchmarks.series:time_kauri", order)
            rows += _rows(f"trees of Euler, order {order}", timings)
    header = ("problem", "method", "first call", "median of later calls", "ratio", "promised")
    return (
        "Processor time up to the finished SymPy matrices; a fresh process for each line, SymPy's "
        "caches emptied before each call. Ratio: to gdbook without python-flint.\n\n"
        + harness.table(header, rows)
    )


def _field(method, problem, ground_types):
    timings = in_fresh_process(
        "benchmarks.series:time_field",
        method,
        *problem,
        environment={"SYMPY_GROUND_TYPES": ground_types},
        limit=LIMIT,
    )
    return timings and timings[method]


def _rows(case, timings):
    ours = timings["gdbook"].median
    rows = []
    for name, timing in timings.items():
        if timing is None:
            rows.append((case, name, f"stopped after {LIMIT} s", "", "", ""))
            continue
        later = milliseconds(timing.median) if timing.repeats > 1 else ""
        ratio = f"{timing.median / ours:.3g}"
        promise = _promise(BARS.get((case, name)), timing.median)
        rows.append((case, name, milliseconds(timing.first), later, ratio, promise))
    return rows


def _promise(bar, seconds):
    if bar is None:
        return ""
    return f"{milliseconds(bar)}: {'kept' if seconds <= bar else 'MISSED'}"


def time_field(method, expression, variables, order):
    """One method on one objective."""
    from sympy.core.cache import clear_cache

    import gdbook as gd

    objective = gd.Objective(expression, variables)
    field = -objective.gradient_expression
    calls = {
        "gdbook": lambda: gd.modified_field(objective, order).coefficients,
        "recursion": lambda: recursion(field, objective.variables, order),
        "naive": lambda: naive(field, objective.variables, order),
    }
    return in_turn({method: calls[method]}, repeats=7, before=clear_cache)


def time_point():
    """The exact series at one point."""
    import gdbook as gd

    objective = gd.Objective("x^2/2 + x^4/4", "x")
    return in_turn({"gdbook": lambda: gd.modified_coefficients(objective, 1, 70)}, repeats=5)


TABLEAUX = {"Euler": ([[0]], [1]), "the midpoint method": ([[0, 0], ["1/2", 0]], [0, 1])}


def time_trees(method, order):
    from gdbook.trees import tree_coefficients

    A, b = TABLEAUX[method]
    return in_turn({"gdbook": lambda: tree_coefficients(order, A, b).coefficients}, repeats=9)


def time_kauri(order):
    """All coefficients for explicit Euler; kauri's are floats."""
    import kauri

    from gdbook.trees import tree_coefficients

    def theirs():
        modified = kauri.RK([[0]], [1]).modified_equation_map()
        return [modified(tree) for tree in kauri.trees_up_to_order(order)]

    return in_turn(
        {"gdbook": lambda: tree_coefficients(order).coefficients, "kauri": theirs}, repeats=3
    )


# The competitors


def recursion(field, variables, order):
    """Lie recursion on SymPy expressions, all of them kept expanded."""
    import sympy

    lie, jacobians = {(1, 0): field}, {}
    for n in range(1, order + 1):
        total = field * 0
        for k in range(2, n + 2):
            m = n + 1 - k
            jacobians[k - 1, m] = lie[k - 1, m].jacobian(variables)
            terms = (jacobians[k - 1, m - i] * lie[1, i] for i in range(m + 1))
            lie[k, m] = sum(terms, field * 0).expand()
            total -= lie[k, m] / sympy.factorial(k)
        lie[1, n] = total.expand()
    return [lie[1, n] for n in range(order + 1)]


def naive(field, variables, order):
    """Expand the flow of what is known so far; what is wrong at the next power is the next term."""
    import sympy

    h = sympy.Symbol("h")
    coefficients = [field]
    for n in range(1, order + 1):
        known = sum((h**j * F for j, F in enumerate(coefficients)), field * 0)
        derivative, flow = known, field * 0
        for k in range(1, n + 2):
            flow += h**k / sympy.factorial(k) * derivative
            derivative = derivative.jacobian(variables) * known
        wrong = flow.expand().applyfunc(lambda e, n=n: e.coeff(h, n + 1))
        coefficients.append(-wrong)
    return coefficients
