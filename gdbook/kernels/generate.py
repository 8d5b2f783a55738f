"""The text of a kernel: from the formula of an objective to a Python file that Numba compiles.

A kernel advances many orbits together, in an inner loop over *lanes* which the compiler turns into
vector instructions. All state of these orbits stands in one array ``B``, row after row: with one
array the compiler sees that nothing else changes it, and keeps it in registers. The number of lanes
is written into the text as a number for the same reason.
"""

import re
from dataclasses import dataclass
from textwrap import dedent, indent

from gdbook import source
from gdbook.kernels import elementary

__all__ = ["Formula", "Kernel", "fill", "formula_of", "lanes_for", "text"]

# Names that the texts of kernels use, beside those that begin with an underscore: a symbol of such
# a name is written with two underscores before it.
_NAMES = """
    active again at at_step B begin bins born bounded burn_in carray cells check chunk chunks column
    columns count counts d decided done due e edge_count edges escape first flag found gone H h
    hit i inside int j k keep kept l label labels lane largest last limits m many math moved n
    near next njit np origin outside p part period periods q r range rate rates rows S scale
    size steps u v W which width Z
"""
RESERVED = frozenset(_NAMES.split()) | {f"{name}_pointer" for name in _NAMES.split()}


@dataclass(frozen=True)
class Formula:
    """Expressions of an objective as lines of Python, for lanes and for one orbit.

    Attributes
    ----------
    variables : list of str
        Names of the coordinates in the text.
    parameters : list of str
    lines : list of str
        Assignments of shared subexpressions.
    outputs : list of str
        The expressions, the components of the gradient first.
    functions : list of str
        Elementary functions that the text calls by their names.
    """

    variables: list
    parameters: list
    lines: list
    outputs: list
    functions: list

    @property
    def dimension(self):
        """The number d of coordinates."""
        return len(self.variables)

    def step(self, read="B[{i}, l]", write="B[{i}, l]", rate="h"):
        """Lines of one step x - h*g, from `read` to `write`, both with ``{i}`` for a coordinate."""
        load = [f"{x} = {read.format(i=i)}" for i, x in enumerate(self.variables)]
        store = [f"{write.format(i=i)} = {moved}" for i, moved in enumerate(self.moved(rate))]
        return "\n".join([*load, *self.lines, *store])

    def moved(self, rate="h"):
        """Texts of the coordinates after a step."""
        gradient = self.outputs[: self.dimension]
        return [f"{x} - {rate}*({g})" for x, g in zip(self.variables, gradient, strict=True)]

    def scalar_step(self, rate="h"):
        """Lines of one step of the variables themselves."""
        names = ", ".join(self.variables)
        return "\n".join([*self.lines, f"{names} = {', '.join(self.moved(rate))}"])

    def unpack_parameters(self):
        """Lines that give the parameters their names."""
        return "\n".join(f"{name} = p[{j}]" for j, name in enumerate(self.parameters))


def formula_of(map, expressions=()):
    """The gradient of an objective, or of a map that has one, then other expressions, as a program.

    Examples
    --------
    >>> from gdbook.catalogue import quadratic
    >>> print(formula_of(quadratic()).step())
    x = B[0, l]
    B[0, l] = x - h*(L*x)
    """
    symbols = [*map.variables, *map.parameter_symbols]
    expressions = [*map.gradient_expression, *expressions]
    names, lines, outputs = source.python_lines(
        symbols, expressions, reserved=RESERVED, functions=elementary.ELEMENTARY
    )
    called = set(re.findall(r"\b([a-z]\w*)\(", "\n".join([*lines, *outputs])))
    d = map.dimension
    functions = sorted(called & set(elementary.ELEMENTARY))
    return Formula(names[:d], names[d:], lines, outputs, functions)


def lanes_for(dimension):
    """How many orbits advance together: as many as the vector registers hold.

    Examples
    --------
    >>> lanes_for(2), lanes_for(10)
    (64, 16)
    """
    return 64 if dimension <= 4 else 32 if dimension <= 8 else 16


def fill(template, **pieces):
    """A template with its pieces put in; ``$name`` alone on a line takes lines and their indent.

    Examples
    --------
    >>> print(fill("for k in range($n):\\n    $body", n=2, body="a = k\\nb = $n"))
    for k in range(2):
        a = k
        b = 2
    """
    lines = []
    for line in dedent(template).strip("\n").splitlines():
        space = line[: len(line) - len(line.lstrip())]
        if (name := line.strip()[1:]) in pieces and line.strip() == f"${name}":
            lines.append(indent(fill(str(pieces[name]), **pieces), space))
        else:
            lines.append(
                re.sub(r"\$(\w+)", lambda found: fill(str(pieces[found[1]]), **pieces), line)
            )
    return "\n".join(line for line in lines if line.strip())


@dataclass(frozen=True)
class Kernel:
    """A compiled function: its name, arguments and the text of its body.

    Attributes
    ----------
    name : str
    numbers : list of (str, str)
        Name and type (``"int64"`` or ``"float64"``) of each number.
    arrays : list of (str, str, str)
        Name, type of the entries, and shape in terms of the numbers, of each array.
    body : str
    """

    name: str
    numbers: list
    arrays: list
    body: str


def text(title, kernel, functions=(), contract=False, helpers=""):
    """The whole file of a kernel: elementary functions, then the function that is compiled.

    Parameters
    ----------
    title : str
    kernel : Kernel
    functions : sequence of str
        Names of the elementary functions that it calls.
    contract : bool
        Whether a product and a sum may become one instruction with one rounding.
    helpers : str
        Text of what else it calls.

    Examples
    --------
    >>> kernel = Kernel("twice", [("n", "int64")], [("a", "float64", "(n,)")], "a *= 2")
    >>> print(text("Twice", kernel).partition("@")[2])
    cfunc("void(int64, CPointer(float64))", error_model="numpy", fastmath=False)
    def twice(n, a_pointer):
        a = carray(a_pointer, (n,))
        a *= 2
    <BLANKLINE>
    """
    flags = 'error_model="numpy", fastmath=' + ('{"contract"}' if contract else "False")
    imports = "import math\n\nimport numpy as np\nfrom numba import carray, cfunc, njit\n"
    text = f'"""{title}"""\n\n{imports}'
    if functions:
        inlined = elementary.definitions(functions, f"@njit(forceinline=True, {flags})")
        text += f"\n\n{inlined.strip()}\n"
    text += helpers
    types = [dtype for _, dtype in kernel.numbers]
    types += [f"CPointer({dtype})" for _, dtype, _ in kernel.arrays]
    names = [name for name, _ in kernel.numbers]
    names += [f"{name}_pointer" for name, _, _ in kernel.arrays]
    arrays = [f"{name} = carray({name}_pointer, {shape})" for name, _, shape in kernel.arrays]
    body = indent("\n".join([*arrays, kernel.body.strip()]), "    ")
    return (
        f'{text}\n\n@cfunc("void({", ".join(types)})", {flags})\n'
        f"def {kernel.name}({', '.join(names)}):\n{body}\n"
    )
