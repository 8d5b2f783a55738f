r"""Lie derivatives in exact arithmetic: the machinery behind `gdbook.modified_field`.

The flow of :math:`\tilde F = F_0 + hF_1 + h^2F_2 + \dots` for time :math:`h` is
:math:`x + \sum_{k\ge1} \frac{h^k}{k!} D^{k-1}\tilde F(x)`, where :math:`DG = G'\tilde F` is the
derivative of a vector field along :math:`\tilde F`. It is the Euler step :math:`x + hF(x)` when
:math:`F_0 = F` and every later power of :math:`h` vanishes. With :math:`G_{k,m}` for the
coefficient of :math:`h^m` in :math:`D^{k-1}\tilde F` that is

.. math:: F_n = -\sum_{k=2}^{n+1} \frac{1}{k!} G_{k,n+1-k}, \qquad
          G_{1,m} = F_m, \qquad G_{k,m} = \sum_{i=0}^{m} G_{k-1,m-i}'\, F_i ,

so each :math:`G_{k,m}` is computed once from smaller ones. SymPy expressions would swell; instead
every coefficient is a polynomial over the integers, with one common denominator for each vector.
A field that is not polynomial becomes one in more generators: :math:`\cos x` and :math:`\sin x`
are two symbols that are each other's derivative up to sign, :math:`q = 1/(1+x^4)` is a third with
:math:`q' = -4x^3q^2`. The generators are independent for the arithmetic: identities such as
:math:`\cos^2 + \sin^2 = 1` are not used.
"""

from functools import cache, cmp_to_key
from math import factorial, gcd, lcm

import sympy
from sympy.external.gmpy import GROUND_TYPES
from sympy.polys.rings import PolyRing

__all__ = ["modified_coefficients_of"]


def modified_coefficients_of(field, variables, order):
    """Coefficients of ``h**0`` to ``h**order`` of the modified field of the step ``x + h*field``.

    Parameters
    ----------
    field : sequence of sympy.Expr
        One component for each variable.
    variables : sequence of sympy.Symbol
        All other symbols are constants.
    order : int

    Returns
    -------
    list of list of sympy.Expr
        Expanded in the generators.

    Examples
    --------
    >>> from sympy.abc import x
    >>> modified_coefficients_of([-(x**2)], [x], 2)
    [[-x**2], [-x**3], [-3*x**4/2]]
    """
    algebra = _Generators(variables)
    field = [algebra.rewrite(component) for component in field]
    algebra.close(order)
    ring = _ring(len(algebra.symbols))
    vectors = _recursion(
        ring, _integral(ring, field, algebra.symbols), _derivation(ring, algebra), order
    )
    to_expression = _Expressions(algebra.expressions)
    return [
        [to_expression(ring.terms(component), denominator) for component in numerators]
        for numerators, denominator in vectors
    ]


def _recursion(ring, field, differentiate, order):
    """F_0, ..., F_order; a vector here is its numerators and their common denominator."""
    lie = {(1, 0): field}

    @cache
    def jacobian(k, m):
        numerators, denominator = lie[k, m]
        rows, factor = differentiate(numerators)
        return rows, denominator * factor

    for n in range(1, order + 1):
        parts = []
        for k in range(2, n + 2):
            m = n + 1 - k
            products = [(jacobian(k - 1, m - i), lie[1, i]) for i in range(m + 1)]
            numerators, denominator = lie[k, m] = _sum_of_products(ring, products)
            parts.append((numerators, -factorial(k) * denominator))
        lie[1, n] = _reduced(ring, *_sum(ring, parts))
    return [lie[1, n] for n in range(order + 1)]


def _sum_of_products(ring, products):
    """Sum of matrices times vectors."""
    common = lcm(*(d * e for (_, d), (_, e) in products))
    # The common denominator goes into the vectors, which are shorter.
    products = [
        (rows, [component * (common // (d * e)) for component in vector])
        for (rows, d), (vector, e) in products
    ]
    return [
        sum((a * b for row, v in each for a, b in zip(row, v, strict=True)), ring.zero)
        for each in zip(*([(row, v) for row in rows] for rows, v in products), strict=True)
    ], common


def _sum(ring, vectors):
    common = lcm(*(d for _, d in vectors))
    vectors = [[component * (common // d) for component in vector] for vector, d in vectors]
    return [sum(components, ring.zero) for components in zip(*vectors, strict=True)], common


def _reduced(ring, vector, denominator):
    components = [ring.terms(component) for component in vector]
    common = gcd(denominator, *(c for terms in components for c in terms.values()))
    if common == 1:
        return vector, denominator
    return [
        ring.element({m: c // common for m, c in terms.items()}) for terms in components
    ], denominator // common


class _Generators:
    """Symbols in which a field and its derivatives are polynomials."""

    def __init__(self, variables):
        self.variables = list(variables)
        self.symbols = list(variables)  # what the arithmetic sees
        self.expressions = list(variables)  # what each symbol stands for
        self.derivatives = [[int(v == w) for w in variables] for v in variables]

    def rewrite(self, expression):
        """`expression` as a polynomial in the symbols; unknown parts become new symbols."""
        if expression.is_Rational:
            return expression
        if expression.is_Add or expression.is_Mul:
            return expression.func(*(self.rewrite(part) for part in expression.args))
        if expression.is_Pow and expression.exp.is_Rational:
            base, exponent = expression.as_base_exp()
            if exponent.is_Integer and exponent > 0:
                return self.rewrite(base) ** exponent
            unit = sympy.Rational(sympy.sign(exponent), exponent.q)
            return self._symbol(base**unit) ** abs(exponent.p)
        return self._symbol(expression)

    def _symbol(self, expression):
        if expression not in self.expressions:
            self.expressions.append(expression)
            self.symbols.append(expression if expression.is_Symbol else sympy.Dummy())
        return self.symbols[self.expressions.index(expression)]

    def close(self, order):
        """Differentiate all generators that `order` derivatives of the field can reach."""
        for _ in range(order):
            for expression in self.expressions[len(self.derivatives) :]:
                gradient = [self.rewrite(expression.diff(v)) for v in self.variables]
                self.derivatives.append(gradient)
        # The field is never differentiated more than `order` times: these are not asked for.
        missing = len(self.expressions) - len(self.derivatives)
        self.derivatives += [[0] * len(self.variables)] * missing


def _integral(ring, expressions, symbols):
    """Ring elements with integer coefficients, and the common denominator taken out."""
    polynomials = [sympy.Poly(e, *symbols, domain=sympy.QQ).as_dict() for e in expressions]
    denominator = lcm(*(int(c.denominator) for terms in polynomials for c in terms.values()))
    return [
        ring.element({m: int(c * denominator) for m, c in terms.items()}) for terms in polynomials
    ], denominator


def _derivation(ring, algebra):
    """Function that differentiates a vector of ring elements by the variables."""
    d = len(algebra.variables)
    extra = [j for j in range(d, len(algebra.symbols)) if any(algebra.derivatives[j])]
    flat, factor = _integral(
        ring, [e for j in extra for e in algebra.derivatives[j]], algebra.symbols
    )
    chain = [(j, flat[d * k : d * (k + 1)]) for k, j in enumerate(extra)]

    def differentiate(vector):
        rows = []
        for component in vector:
            row = [ring.derivative(component, i) * factor for i in range(d)]
            for j, gradient in chain:
                outer = ring.derivative(component, j)
                row = [r + outer * inner for r, inner in zip(row, gradient, strict=True)]
            rows.append(row)
        return rows, factor

    return differentiate


def _ring(generators):
    """Polynomials over the integers: FLINT's where SymPy found FLINT or GMP, else SymPy's own."""
    if GROUND_TYPES != "python":
        try:
            return _FlintRing(generators)
        except ImportError:
            pass
    return _SympyRing(generators)


class _SympyRing:
    def __init__(self, generators):
        self._ring = PolyRing([f"g{i}" for i in range(generators)], sympy.ZZ)
        self.zero = self._ring.zero
        self.element = self._ring.from_dict

    def derivative(self, element, generator):
        return element.diff(generator)

    def terms(self, element):
        return {m: int(c) for m, c in element.items()}


class _FlintRing:
    def __init__(self, generators):
        import flint

        context = flint.fmpz_mpoly_ctx.get([f"g{i}" for i in range(generators)])
        self.zero = context.from_dict({})
        self.element = context.from_dict

    def derivative(self, element, generator):
        return element.derivative(generator)

    def terms(self, element):
        return {m: int(c) for m, c in element.to_dict().items()}


class _Expressions:
    """SymPy sums from the terms of ring elements.

    With symbols for generators nothing can be simplified: sums and products are then put in
    SymPy's own order at once, which takes a third of the time of `Add` and `Mul`.
    """

    def __init__(self, generators):
        self._generators = generators
        self._only_symbols = all(generator.is_Symbol for generator in generators)
        self._products = {}

    def __call__(self, terms, denominator):
        parts = [self._term(m, sympy.Rational(c, denominator)) for m, c in terms.items()]
        if not self._only_symbols:
            return sympy.Add(*parts)
        return sympy.Add._from_args(sorted(parts, key=_sympy_order))

    def _term(self, monomial, coefficient):
        powers = self._powers(monomial)
        if not self._only_symbols:
            return sympy.Mul(coefficient, *powers)
        factors = powers if powers and coefficient == 1 else [coefficient, *powers]
        return sympy.Mul._from_args(factors)

    def _powers(self, monomial):
        if monomial not in self._products:
            powers = [g**k for g, k in zip(self._generators, monomial, strict=True) if k]
            self._products[monomial] = sorted(powers, key=_sympy_order)
        return self._products[monomial]


_sympy_order = cmp_to_key(sympy.Basic.compare)
