"""Box-counting dimensions of sets whose dimension is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdbook.fractal import box_dimension


def carpet(steps):
    mask = np.ones((1, 1), dtype=bool)
    hole = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    for _ in range(steps):
        mask = np.kron(mask, hole)
    return mask


def cantor_dust(steps):
    mask = np.ones((1, 1), dtype=bool)
    corners = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1]], dtype=bool)
    for _ in range(steps):
        mask = np.kron(mask, corners)
    return mask


i, j = np.indices((256, 256))
THREES = (3, 9, 27, 81)


@pytest.mark.parametrize(
    "mask, sizes, dimension, counts",
    [
        (np.ones((64, 64), bool), (2, 4, 8), 2, [32**2, 16**2, 8**2]),
        (np.ones((64, 64, 64), bool), (2, 4, 8), 3, [32**3, 16**3, 8**3]),
        (i == 77, (2, 4, 8, 16, 32), 1, [128, 64, 32, 16, 8]),
        (i == j, (2, 4, 8, 16, 32), 1, [128, 64, 32, 16, 8]),
        ((i == 3) & (j == 5), (2, 4, 8), 0, [1, 1, 1]),
        (i & j == 0, (2, 4, 8, 16, 32), np.log2(3), [3**7, 3**6, 3**5, 3**4, 3**3]),
        (carpet(5), THREES, np.log(8) / np.log(3), [8**4, 8**3, 8**2, 8]),
        (cantor_dust(5), THREES, np.log(4) / np.log(3), [4**4, 4**3, 4**2, 4]),
    ],
)
def test_sets_of_known_dimension(mask, sizes, dimension, counts):
    result = box_dimension(mask, sizes)
    assert result.counts.tolist() == counts
    assert result.sizes.tolist() == list(sizes)
    assert result.dimension == pytest.approx(dimension, abs=1e-12)
    assert result.error < 1e-12


def test_straight_boundaries_count_once_wherever_they_are():
    for row in range(1, 65):
        labels = (np.arange(65) < row).astype(int)[:, np.newaxis] * np.ones(65, dtype=int)
        for picture in (labels, labels.T, 7 - 3 * labels):
            assert box_dimension(picture).counts.tolist() == [32, 16, 8, 4, 2]


def test_boundary_is_where_four_pixels_differ():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 33)) * (rng.random((40, 33)) < 0.2)
    corners = np.array(
        [[len(np.unique(labels[k : k + 2, l : l + 2])) > 1 for l in range(32)] for k in range(39)]
    )
    np.testing.assert_array_equal(
        box_dimension(labels, (1, 3, 5)).counts, box_dimension(corners, (1, 3, 5)).counts
    )


def test_boxes_at_the_edge_are_cut():
    mask = np.zeros((10, 7), dtype=bool)
    mask[9, 6] = mask[0, 0] = True
    assert box_dimension(mask, (4, 3)).counts.tolist() == [2, 2]
    assert box_dimension(np.ones((10, 7), bool), (3, 4)).counts.tolist() == [4 * 3, 3 * 2]


@given(st.integers(0, 2**32 - 1), st.permutations([-5, 0, 1, 200]))
def test_names_of_labels_do_not_matter(seed, names):
    labels = np.random.default_rng(seed).integers(0, 4, (17, 17)) // 2
    ours, theirs = box_dimension(labels, (2, 4)), box_dimension(np.array(names)[labels], (2, 4))
    assert ours.counts.tolist() == theirs.counts.tolist()


def test_error_is_that_of_the_slope():
    mask = np.zeros((8, 8), dtype=bool)
    mask[:4] = True
    mask[4, 0] = True
    result = box_dimension(mask, (1, 2, 4))
    assert result.counts.tolist() == [33, 9, 3]
    x, y = -np.log(result.sizes), np.log(result.counts)
    coefficients, covariance = np.polyfit(x, y, 1, cov=True)
    assert result.dimension == pytest.approx(coefficients[0])
    assert result.error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert np.isnan(box_dimension(mask, (1, 2)).error)


def test_circle_and_the_ellipse_that_bounds_the_bounded_orbits_are_smooth():
    s = np.linspace(-3.5, 3.5, 1025)
    x, y = np.meshgrid(s, s)
    assert box_dimension((x**2 + y**2 < 7).astype(int)).dimension == pytest.approx(1, abs=0.02)
    for h in (0.5, 0.9, 1.2, 1.9):
        inside = x**2 + y**2 - h * x * y < 4 / h - h
        assert box_dimension(inside.astype(int)).dimension == pytest.approx(1, abs=0.03)


def basins(h, side, pixels):
    """1 and 2 for the minima with x > 0 and x < 0 of (1 - xy)^2/2, 3 for divergence."""
    s = np.linspace(-side, side, pixels)
    x, y = map(np.ravel, np.meshgrid(s, s))
    labels, left = np.zeros(x.size, dtype=np.int8), np.arange(x.size)
    for _ in range(60):
        with np.errstate(all="ignore"):
            for _ in range(10):
                r = 1 - x * y
                x, y = x + h * y * r, y + h * x * r
            escaped = ~(np.abs(x) + np.abs(y) < 1e6)
            settled = np.abs(1 - x * y) < 1e-6
        labels[left] = np.where(escaped, 3, np.where(settled, 1 + (x < 0), 0))
        going_on = ~(escaped | settled)
        x, y, left = x[going_on], y[going_on], left[going_on]
    return labels.reshape(pixels, pixels)


@pytest.mark.parametrize("h, side, dimension", [(0.2, 5, 1.20), (0.5, 3.5, 1.21), (0.9, 3, 1.26)])
def test_boundary_between_the_basins_of_a_factorisation_is_fractal(h, side, dimension):
    labels = basins(h, side, 769)
    assert box_dimension(labels).dimension == pytest.approx(dimension, abs=0.06)
    diverged = (labels == 3).astype(int)
    assert box_dimension(diverged).dimension == pytest.approx(1, abs=0.03)


def test_an_empty_set_has_no_dimension():
    for picture in (np.zeros((64, 64), int), np.zeros((64, 64), bool)):
        result = box_dimension(picture)
        assert np.isnan(result.dimension) and np.isnan(result.error)
        assert result.counts.tolist() == [0] * 5


@pytest.mark.parametrize(
    "error, message, picture, sizes",
    [
        (TypeError, "picture must be an array of booleans", np.zeros((64, 64)), (2, 4)),
        (TypeError, "picture must be an array", 1, (2, 4)),
        (TypeError, "picture must be an array", None, (2, 4)),
        (ValueError, "picture must be an array: its rows", [[1, 2], [3]], (2, 4)),
        (TypeError, "sizes must be a whole number", np.ones((64, 64), bool), (2, 4.5)),
        (TypeError, "sizes must be a sequence", np.ones((64, 64), bool), 2),
        (ValueError, "sizes must be a whole number, at least 1", np.ones((64, 64), bool), (0, 2)),
        (ValueError, "at least two different", np.ones((64, 64), bool), (2, 2)),
        (ValueError, "no larger than the 16 x 64 squares", np.ones((16, 64), bool), (2, 32)),
        (ValueError, "no larger than the 0 x 0 squares", np.ones((1, 1), int), (2, 4)),
        (ValueError, "no larger than the 0 x 5 squares", np.ones((0, 5), bool), (2, 4)),
    ],
)
def test_bad_input_is_named(error, message, picture, sizes):
    with pytest.raises(error, match=message):
        box_dimension(picture, sizes)
