r"""The named objectives of the book.

Each function returns an :class:`~gdbook.objective.Objective`; its docstring gives where the
objective comes from and the constants that are known of it.
"""

import re

import numpy as np
import sympy

from gdbook import arguments
from gdbook.objective import Objective, require_formula

__all__ = [
    "cosine",
    "double_well",
    "exponential_loss",
    "flattened_exponential",
    "flattened_polynomial",
    "huber",
    "logistic_loss",
    "multiscale",
    "perceptron_loss",
    "quadratic",
    "quadratic_bowl",
    "quadratic_plus_cubic",
    "quadratic_plus_quartic",
    "quartic",
    "rational_valley",
    "scalar_factorization",
    "sharp_and_flat_1d",
    "sharp_and_flat_2d",
]


def quadratic(sharpness=1):
    r""":math:`f(x) = \tfrac12 L x^2`, the parabola with sharpness :math:`L`.

    Gradient descent multiplies by :math:`1 - hL`: monotone below :math:`1/L`, oscillating up to
    :math:`2/L`, a 2-cycle at :math:`2/L`, divergence beyond. Source: Cauchy's method on the
    simplest objective; the blog post of Tao and Wang (2022) shows all its regimes.

    Examples
    --------
    >>> quadratic().map("h")
    Matrix([[-L*h*x + x]])
    """
    return Objective("L*x^2/2", "x", {"L": sharpness})


def quadratic_bowl(flat=1, sharp=10):
    r""":math:`f(x, y) = \tfrac12(\mu x^2 + L y^2)`, condition number :math:`\kappa = L/\mu`.

    The best constant learning rate is :math:`2/(\mu + L)`, with factor
    :math:`(\kappa - 1)/(\kappa + 1)` per step.

    Examples
    --------
    >>> import gdbook as gd
    >>> orbit = gd.gradient_descent(quadratic_bowl(1, 3), [1.0, 1.0], 2 / (1 + 3), steps=3)
    >>> orbit.points[-1].tolist()
    [0.125, -0.125]
    """
    return Objective("(mu*x^2 + L*y^2)/2", "x y", {"mu": flat, "L": sharp})


def double_well():
    r""":math:`f(x) = \tfrac14(x^2 - 1)^2`, two minima of sharpness 2 with a hill between.

    Gradient descent is the cubic map :math:`(1 + h)x - hx^3`: it converges for :math:`h < 1`,
    doubles its period from :math:`h = 1` to :math:`h_\infty = 1.30228`, is conjugate to the
    Chebyshev polynomial :math:`T_3` at :math:`h = 2` and unbounded beyond. It is gradient descent
    on :math:`\tfrac12(1 - xy)^2` along the diagonal :math:`x = y`. Source: Chen, Balasubramanian,
    Ghosal, Agrawalla (2023).

    Examples
    --------
    >>> double_well().sharpness([[-1.0], [0.0], [1.0]])
    array([ 2., -1.,  2.])
    """
    return Objective("(x^2 - 1)^2/4", "x")


def quartic():
    r""":math:`f(x) = \tfrac14 x^4`, not L-smooth for any L.

    Gradient descent converges exactly for :math:`|x_0| < \sqrt{2/h}`, has a 2-cycle there and blows
    up faster than any exponential beyond.

    Examples
    --------
    >>> import gdbook as gd
    >>> gd.gradient_descent(quartic(), 2.0, 0.5, steps=100).outcome
    Outcome(label='periodic', step=100, period=2)
    """
    return Objective("x^4/4", "x")


def scalar_factorization(product=1):
    r""":math:`f(x, y) = \tfrac12(\mu - xy)^2`, the smallest matrix factorisation.

    Neither convex nor L-smooth for any L; minimal on the hyperbola :math:`xy = \mu`, where the
    Hessian has the eigenvalues 0 and :math:`x^2 + y^2`. Source: Wang, Chen, Zhao, Tao (2022).

    Examples
    --------
    >>> float(scalar_factorization().sharpness([2.0, 0.5]))
    4.25
    """
    return Objective("(mu - x*y)^2/2", "x y", {"mu": product})


def cosine():
    r""":math:`f(x) = \cos x`, 1-smooth and not convex; minima at odd multiples of :math:`\pi`.

    Examples
    --------
    >>> cosine().map("h")
    Matrix([[h*sin(x) + x]])
    """
    return Objective("cos(x)", "x")


def rational_valley():
    r""":math:`f(x) = x^2/(1 + x^4)`, smooth with a minimum at 0, and flat at infinity.

    :math:`L = \max|f''| = 2.5225425`, at :math:`|x| = 0.852375`. Started at 2, gradient descent
    with :math:`h < 2/L` leaves for infinity like :math:`(8hk)^{1/4}`: its gradient tends to zero
    and no stationary point is near.

    Examples
    --------
    >>> float(rational_valley().hessian([0.852375])[0, 0].round(5))
    -2.52254
    """
    return Objective("x^2/(1 + x^4)", "x")


def quadratic_plus_quartic():
    r""":math:`f(x) = \tfrac12 x^2 + \tfrac14 x^4`: the series of its modified equation diverges.

    Examples
    --------
    >>> import gdbook as gd
    >>> [str(c) for c, in gd.modified_coefficients(quadratic_plus_quartic(), 1, order=3)]
    ['-2', '-4', '-38/3', '-48']
    """
    return Objective("x^2/2 + x^4/4", "x")


def quadratic_plus_cubic():
    r""":math:`f(x) = \tfrac12 x^2 + \tfrac13 x^3`: a minimum at 0 and a maximum at -1.

    Examples
    --------
    >>> quadratic_plus_cubic().hessian([[0.0], [-1.0]]).ravel()
    array([ 1., -1.])
    """
    return Objective("x^2/2 + x^3/3", "x")


def huber(shoulder=1):
    r"""Huber's function: :math:`\tfrac12 x^2` up to :math:`|x| = \tau`, then straight lines.

    Convex and 1-smooth. With :math:`\tau = R/(2Nh + 1)` it is the slowest such function for N steps
    from distance R at learning rate :math:`h \le 1`. Source: Drori, Teboulle (2014).

    Examples
    --------
    >>> huber(0.5).gradient([[-3.0], [0.25], [2.0]]).ravel()
    array([-0.5 ,  0.25,  0.5 ])
    """
    return Objective(
        "Piecewise((x^2/2, Abs(x) <= tau), (tau*Abs(x) - tau^2/2, True))", "x", {"tau": shoulder}
    )


def multiscale(macro=None, micro=None, scale=0.01):
    r""":math:`f(x) = f_0(x) + \epsilon f_1(x/\epsilon)`: a landscape with small, steep ripples.

    The gradient of the ripples is as large as that of the landscape and their sharpness is of the
    order :math:`1/\epsilon`, so every ripple has its own minimum. With :math:`h \ll \epsilon`
    gradient descent ends in one of them; with :math:`\epsilon \ll h` it sees them as noise, see
    :mod:`gdbook.multiscale`. Source: Kong, Tao (2020).

    Parameters
    ----------
    macro : Objective or str, optional
        :math:`f_0`, or its formula in x, or in x and y; by default :math:`x^2/2`.
    micro : Objective or str, optional
        :math:`f_1` with as many variables, :math:`2\pi`-periodic in each; by default the sum of
        their sines.
    scale : number
        :math:`\epsilon > 0`, the parameter ``epsilon``.

    Examples
    --------
    >>> multiscale()
    Objective('epsilon*sin(x/epsilon) + x**2/2', 'x', {'epsilon': 0.01})
    >>> multiscale("(x^2 + y^2)/2", scale=0.1).sharpness([0.0, -0.05 * 3.141592653589793])
    array(11.)
    """
    macro = _formula("x^2/2" if macro is None else macro, "macro")
    sines = " + ".join(f"sin({name})" for name in macro.variables)
    micro = Objective(sines, macro.variables) if micro is None else _formula(micro, "micro")
    if micro.dimension != macro.dimension:
        raise ValueError(
            f"micro must have as many variables as macro, {macro.dimension}, not {micro.dimension}"
        )
    arguments.positive(scale, "scale")
    named = [*macro.parameters, *micro.parameters, "epsilon"]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise ValueError(
            f"macro, micro and scale (epsilon) share the parameter {twice[0]!r}: rename one of them"
        )
    parameters = {**macro.parameters, **micro.parameters, "epsilon": scale}
    epsilon = sympy.Symbol("epsilon", real=True)
    pairs = zip(micro.variables, macro.variables, strict=True)
    ripples = micro.expression.subs({u: x / epsilon for u, x in pairs}, simultaneous=True)
    return Objective(macro.expression + epsilon * ripples, macro.variables, parameters)


def sharp_and_flat_1d(printed=False):
    r"""A parabola with a sharp dent and a narrow trench, all of their minima equally deep.

    .. math::
        f(x) = \begin{cases}
            1020 u^2 + 800 u^3 - 2000 u^4 - 1600 u^5,\quad u = x - \tfrac52
                & 2 \le x \le 3 \\
            1411.2\,(1 - s(x - 8.4)) & 8.4 \le x \le 8.40001 \\
            0 & 8.40001 \le x \le 8.59999 \\
            1479.2\,(1 + s(x - 8.6)) & 8.59999 \le x \le 8.6 \\
            20 x^2 & \text{otherwise}
        \end{cases}
        \qquad s = 10^5

    All minima have the value 0: the flat one at 0, with the sharpness 40 and stable below
    :math:`h = .05`; the sharp one at 5/2, with 2040 and stable below :math:`h = 9.80392 \cdot
    10^{-4}`; and every point from 8.40001 to 8.59999, with the sharpness 0 between walls of slope
    :math:`-1.4112 \cdot 10^8` and :math:`1.4792 \cdot 10^8`. Once continuously differentiable but
    for the edges of the walls, where the gradient is that of the first case that holds. Source:
    Grachev's overview (2023) of Mohtashami, Jaggi, Stich (2023).

    Parameters
    ----------
    printed : bool
        Whether to take :math:`s = 10^4`, as the overview has it. The walls then break off: f jumps
        from 1270.08 to 0 at 8.40001, and from 0 to 1331.28 at 8.59999.

    Examples
    --------
    >>> f = sharp_and_flat_1d()
    >>> f.sharpness([[0.0], [2.5], [8.5]])
    array([  40., 2040.,    0.])
    >>> f.value([[2.0], [3.0], [8.4], [8.6]]).round(6)  # those of the parabola
    array([  80. ,  180. , 1411.2, 1479.2])
    >>> sharp_and_flat_1d(printed=True).value([[8.40001], [8.400011]]).round(6)
    array([1270.08,    0.  ])
    """
    steepness = 10**4 if _flag(printed, "printed") else 10**5
    return Objective(
        "Piecewise("
        "(-1600*(x - 5/2)^5 - 2000*(x - 5/2)^4 + 800*(x - 5/2)^3 + 1020*(x - 5/2)^2, "
        "(x >= 2) & (x <= 3)), "
        f"(1411.2*(1 - {steepness}*(x - 8.4)), (x >= 8.4) & (x <= 8.40001)), "
        "(0, (x >= 8.40001) & (x <= 8.59999)), "
        f"(1479.2*({steepness}*(x - 8.6) + 1), (x >= 8.59999) & (x <= 8.6)), "
        "(20*x^2, True))",
        "x",
    )


def sharp_and_flat_2d(printed=False):
    r"""A round bowl with four sharp pits, deeper than its flat minimum.

    .. math:: f(x, y) = x^2 + y^2 - 200\, (|x| - 1)_+ (|y| - 1)_+ (2 - |x|)_+ (2 - |y|)_+

    with :math:`z_+ = \max(z, 0)`. The flat minimum at the origin has the value 0 and both
    eigenvalues 2; the sharp ones at :math:`(\pm 1.470487, \pm 1.470487)` have the value
    :math:`-8.088386` and the eigenvalues 100.9548 and 102.3484, and are stable below
    :math:`h = .0195411`. Source: Grachev's overview (2023) of Mohtashami, Jaggi, Stich (2023).

    Parameters
    ----------
    printed : bool
        Whether to take the last factor as :math:`(2 - |x|)_+` once more, as the overview has it. In
        place of the pits there are then four valleys that are deepest, :math:`-188.0720`, far
        out at :math:`(\pm 1.332851, \pm 14.814792)`.

    Examples
    --------
    >>> import numpy as np
    >>> f = sharp_and_flat_2d()
    >>> np.linalg.eigvalsh(f.hessian([1.4704874306, -1.4704874306])).round(4)
    array([100.9548, 102.3484])
    >>> f.sharpness([0.0, 0.0])
    array(2.)
    """
    last = "x" if _flag(printed, "printed") else "y"
    return Objective(
        "x^2 + y^2 - 200*Max(Abs(x) - 1, 0)*Max(Abs(y) - 1, 0)"
        f"*Max(2 - Abs(x), 0)*Max(2 - Abs({last}), 0)",
        "x y",
    )


def logistic_loss():
    r""":math:`\ell(z) = \ln(1 + e^{-z})`, the logistic loss of a margin :math:`z`.

    Convex, decreasing and :math:`\tfrac14`-smooth; both :math:`|\ell'|` and :math:`\ell''` are at
    most :math:`\ell`. The formula takes the exponential of :math:`-|z|` alone, so that no margin is
    too large for it: :math:`\ell(60) = e^{-60}` and :math:`\ell(-800) = 800`, to the last digits.

    Examples
    --------
    >>> logistic_loss().value([[60.0], [0.0], [-800.0]])
    array([8.75651076e-27, 6.93147181e-01, 8.00000000e+02])
    >>> logistic_loss().hessian([0.0]).item()
    0.25
    """
    return Objective(
        "log(1 + exp(Piecewise((-z, z > 0), (z, True)))) + Piecewise((0, z > 0), (-z, True))",
        "z",
        name="l",
    )


def exponential_loss(rate=1):
    r""":math:`\ell(z) = e^{-az}`, the exponential loss of a margin :math:`z`.

    Its gradient is not bounded, and not Lipschitz: large learning rates blow up.

    Examples
    --------
    >>> exponential_loss(2).gradient([[0.0], [-400.0]]).ravel()
    array([ -2., -inf])
    """
    arguments.positive(rate, "rate")
    return Objective("exp(-a*z)", "z", {"a": rate}, name="l")


def flattened_exponential(rate=1):
    r""":math:`\ell(z) = e^{-az}` for :math:`z \ge 0`, and its tangent :math:`1 - az` before.

    Convex, decreasing, with :math:`|\ell'| \le a`. Once continuously differentiable: the second
    derivative jumps from 0 to :math:`a^2`. Source: Wu (2024).

    Examples
    --------
    >>> flattened_exponential(2).value([[-3.0], [0.0]]).ravel()
    array([7., 1.])
    >>> flattened_exponential(2).hessian([[-1e-9], [0.0]]).ravel()
    array([0., 4.])
    """
    arguments.positive(rate, "rate")
    return Objective("Piecewise((exp(-a*z), z >= 0), (1 - a*z, True))", "z", {"a": rate}, name="l")


def flattened_polynomial(degree=1):
    r""":math:`\ell(z) = (1 + z)^{-a}` for :math:`z \ge 0`, and its tangent :math:`1 - az` before.

    Convex, decreasing, with :math:`|\ell'| \le a`; its tail is that of a power. Once continuously
    differentiable: the second derivative jumps from 0 to :math:`a(a + 1)`. Source: Wu (2024).

    Examples
    --------
    >>> flattened_polynomial(2).value([[-3.0], [0.0], [9.0]]).ravel()
    array([7.  , 1.  , 0.01])
    >>> flattened_polynomial(2).hessian([[-1e-9], [0.0]]).ravel()
    array([0., 6.])
    """
    arguments.positive(degree, "degree")
    return Objective(
        "Piecewise(((1 + z)^(-a), z >= 0), (1 - a*z, True))", "z", {"a": degree}, name="l"
    )


def perceptron_loss():
    r""":math:`\ell(z) = \max(-z, 0)`, the loss of the perceptron.

    It is what :math:`\ell(cz)/c` tends to for the logistic loss and :math:`c \to \infty`. Its
    crease has derivative 0: a margin of exactly 0 does not move. Source: Rosenblatt (1958).

    Examples
    --------
    >>> perceptron_loss().gradient([[-2.0], [0.0], [3.0]]).ravel()
    array([-1.,  0.,  0.])
    """
    return Objective("Max(-z, 0)", "z", name="l")


def _flag(value, name):
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def _formula(given, name):
    if isinstance(given, str):
        return Objective(given, "x y" if re.search(r"\by\b", given) else "x")
    require_formula(given, name)
    return given
