"""Images for the networks of the book: the digits of scikit-learn, and MNIST from a folder."""

import gzip
import os
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from gdbook import arguments

__all__ = ["Images", "digits", "mnist"]

FOLDER = "GDBOOK_DATA"  # the environment variable that names the folder with MNIST's files
_PARTS = {"test": "t10k", "train": "train"}
_BYTES = 0x08  # the type of the entries, as the files of MNIST name it


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size, each with the class it belongs to.

    Attributes
    ----------
    features : ndarray of float, shape (n, p)
        Grey values from 0 (background) to 1, row after row, one image a row.
    labels : ndarray of int, shape (n,)
        Classes, from 0.
    shape : (int, int)
        Rows and columns of an image; their product is p.

    Examples
    --------
    >>> images = Images(np.zeros((5, 6)), np.array([0, 1, 2, 1, 0]), (2, 3))
    >>> len(images), images.features[0].reshape(images.shape).shape
    (5, (2, 3))
    """

    features: np.ndarray
    labels: np.ndarray
    shape: tuple

    def __len__(self):
        return len(self.labels)

    def split(self, train, rng):
        """Two parts without a common image, drawn at random: to train on, and to test with.

        Parameters
        ----------
        train : int
            Number of images in the first part; the others are the second.
        rng : numpy.random.Generator

        Returns
        -------
        (Images, Images)

        Raises
        ------
        ValueError
            If there are fewer images than `train`.

        Examples
        --------
        >>> images = Images(np.eye(4), np.arange(4), (2, 2))
        >>> seen, unseen = images.split(3, np.random.default_rng(0))
        >>> len(seen), len(unseen), sorted([*seen.labels.tolist(), *unseen.labels.tolist()])
        (3, 1, [0, 1, 2, 3])
        """
        train = arguments.natural(train, "train")
        if train > len(self):
            raise ValueError(
                f"train must be at most {len(self)}, the number of images, not {train}"
            )
        order = rng.permutation(len(self))
        return self._part(order[:train]), self._part(order[train:])

    def _part(self, chosen):
        return Images(self.features[chosen], self.labels[chosen], self.shape)


def digits():
    """1797 images of handwritten digits with 8 × 8 pixels, which come with scikit-learn [1]_.

    Returns
    -------
    Images
        Features of shape (1797, 64), labels from 0 to 9.

    Raises
    ------
    ImportError
        Where scikit-learn is not installed.

    References
    ----------
    .. [1] E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning
       Repository (1998). Its test set, whose 32 × 32 bits are counted in blocks of 4 × 4.

    Examples
    --------
    >>> images = digits()
    >>> images.features.shape, images.shape, images.labels[:5].tolist()
    ((1797, 64), (8, 8), [0, 1, 2, 3, 4])
    >>> float(images.features.max())
    1.0
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn: pip install 'gdbook[networks]'"
        ) from error
    data = load_digits()
    return Images(data.data / 16, data.target, (8, 8))


def mnist(folder=None, part="test"):
    """Images of handwritten digits with 28 × 28 pixels, the set MNIST [1]_, from files.

    The files are the usual ones, ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` for
    the 10 000 images of the test part, ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``
    for the 60 000 others, packed (then their names end in ``.gz``) or not. One part suffices.

    Parameters
    ----------
    folder : path, optional
        Where the files are; the environment variable ``GDBOOK_DATA`` names it otherwise.
    part : {"test", "train"}

    Returns
    -------
    Images
        Features of shape (n, 784), labels from 0 to 9.

    Raises
    ------
    FileNotFoundError
        If no folder is named, or a file is not in it.
    ValueError
        If a file is not one of MNIST's, is cut off or damaged.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
       recognition", Proceedings of the IEEE 86 (1998).

    Examples
    --------
    >>> mnist("no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: no/such/folder has no file t10k-images-idx3-ubyte.gz, packed or not: ...
    """
    if part not in tuple(_PARTS):
        raise ValueError(f'part must be "test" or "train", not {part!r}')
    folder = folder or os.environ.get(FOLDER)
    if not folder:
        raise FileNotFoundError(
            f"MNIST is read from files: name their folder, mnist(folder), or set {FOLDER} to it"
        )
    folder = Path(folder).expanduser()
    images = _array(_find(folder, f"{_PARTS[part]}-images-idx3-ubyte"), axes=3)
    labels = _array(_find(folder, f"{_PARTS[part]}-labels-idx1-ubyte"), axes=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{folder} has {len(images)} images and {len(labels)} labels in part {part!r}: "
            "replace its files by a pair that belongs together"
        )
    pixels = images.reshape(len(images), prod(images.shape[1:]))
    return Images(pixels / 255, labels.astype(int), images.shape[1:])


def _find(folder, name):
    for path in (Path(folder, name), Path(folder, f"{name}.gz")):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{folder} has no file {name}.gz, packed or not: put it there, or name another folder, "
        f"mnist(folder) or {FOLDER}"
    )


def _array(path, axes):
    """The array in a file of MNIST's format: type, number of axes, lengths, entries."""
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is cut off or damaged ({error}): get it again") from None
    header = 4 + 4 * axes
    lengths = np.frombuffer(data[4:header].ljust(4 * axes, b"\0"), ">u4").tolist()
    if data[:4] != bytes([0, 0, _BYTES, axes]) or len(data) != header + prod(lengths):
        raise ValueError(f"{path} is not a whole file of MNIST with {axes} axes: get it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(lengths)
