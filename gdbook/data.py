"""What the networks of the book learn: the digits of scikit-learn, MNIST, a polynomial."""

import gzip
import os
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from gdbook import arguments

__all__ = ["Images", "chebyshev", "digits", "mnist"]

FOLDER = "GDBOOK_DATA"  # the environment variable that names the folder with MNIST's files
_PARTS = {"test": "t10k", "train": "train"}
_BYTES = 0x08  # the type of the entries, as the files of MNIST name it
_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
_SHA256 = {  # of the packed files
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
}
_PATIENCE = 20  # seconds without a byte after which the next mirror is asked


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
        order = arguments.generator(rng).permutation(len(self))
        return self._part(order[:train]), self._part(order[train:])

    def centred(self):
        """The images less their mean image.

        Returns
        -------
        Images

        Examples
        --------
        >>> Images(np.array([[1.0], [3.0]]), np.array([0, 1]), (1, 1)).centred().features
        array([[-1.],
               [ 1.]])
        """
        return Images(self.features - self.features.mean(axis=0), self.labels, self.shape)

    def pair(self, first, second):
        """The images of two classes, for a classifier of two.

        Parameters
        ----------
        first, second : int
            The classes.

        Returns
        -------
        features : ndarray, shape (n, p)
            Divided by the largest norm of an image, so that no norm exceeds 1.
        labels : ndarray, shape (n,)
            1 for the first class, -1 for the second.

        Raises
        ------
        ValueError
            If there is no image of a class, or the two are the same.

        Examples
        --------
        >>> features = np.array([[3.0, 4.0], [9.0, 9.0], [0.0, 2.0]])
        >>> images = Images(features, np.array([8, 1, 0]), (1, 2))
        >>> images.pair(0, 8)
        (array([[0.6, 0.8],
               [0. , 0.4]]), array([-1.,  1.]))
        """
        for name, chosen in (("first", first), ("second", second)):
            if not (self.labels == chosen).any():
                known = ", ".join(map(str, np.unique(self.labels)))
                raise ValueError(f"{name} must be one of the classes {known}, not {chosen!r}")
        if first == second:
            raise ValueError(f"first and second must be two classes, not {first!r} twice")
        both = self._part((self.labels == first) | (self.labels == second))
        largest = np.linalg.norm(both.features, axis=1).max()
        return both.features / largest, np.where(both.labels == first, 1.0, -1.0)

    def _part(self, chosen):
        return Images(self.features[chosen], self.labels[chosen], self.shape)


def chebyshev(degree, number=20):
    r"""Values of a Chebyshev polynomial at equally spaced points, to be learned by regression [1]_.

    Parameters
    ----------
    degree : int
        k of the polynomial :math:`T_k`, for which :math:`T_k(\cos t) = \cos kt`.
    number : int
        n.

    Returns
    -------
    features : ndarray, shape (n, 1)
        Equally spaced from -1 to 1.
    targets : ndarray, shape (n, 1)
        :math:`T_k` at these points.

    References
    ----------
    .. [1] J. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar, "Gradient descent on neural
       networks typically occurs at the edge of stability", ICLR 2021, where such sets are used.

    Examples
    --------
    >>> features, targets = chebyshev(2, number=5)
    >>> targets[:, 0]
    array([ 1. , -0.5, -1. , -0.5,  1. ])
    """
    degree = arguments.natural(degree, "degree")
    features = np.linspace(-1, 1, arguments.natural(number, "number", least=2))[:, np.newaxis]
    return features, np.polynomial.chebyshev.chebval(features, [0] * degree + [1])


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


def mnist(folder=None, part="test", download=False):
    """Images of handwritten digits with 28 × 28 pixels, the set MNIST [1]_, from files.

    The files are the usual ones, ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte`` for
    the 10 000 images of the test part, ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``
    for the 60 000 others, packed (then their names end in ``.gz``) or not. One part suffices.

    Parameters
    ----------
    folder : path, optional
        Where the files are; otherwise the environment variable ``GDBOOK_DATA`` names it, and
        where that is not set, it is a folder in the user's cache.
    part : {"test", "train"}
    download : bool
        Get the files that the folder does not have from one of several mirrors, 2 MB for the test
        part and 10 MB for the other. A file is put there when its SHA-256 is that of the set;
        files that are there stay.

    Returns
    -------
    Images
        Features of shape (n, 784), labels from 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a file is not in the folder, and is not to be downloaded.
    ValueError
        If a file is not one of MNIST's, is cut off or damaged.
    OSError
        If no mirror gives what it should, or the folder cannot be written to.

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
    folder = Path(folder or os.environ.get(FOLDER) or _cache()).expanduser()
    find = _found_or_fetched if download else _found
    images = _array(find(folder, f"{_PARTS[part]}-images-idx3-ubyte"), axes=3)
    labels = _array(find(folder, f"{_PARTS[part]}-labels-idx1-ubyte"), axes=1)
    if len(images) != len(labels):
        raise ValueError(
            f"{folder} has {len(images)} images and {len(labels)} labels in part {part!r}: "
            "replace its files by a pair that belongs together"
        )
    pixels = images.reshape(len(images), prod(images.shape[1:]))
    return Images(pixels / 255, labels.astype(int), images.shape[1:])


def _cache():
    import platformdirs

    return platformdirs.user_cache_path("gdbook", appauthor=False) / "mnist"


def _found(folder, name):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{folder} has no file {name}.gz, packed or not: get it by mnist(download=True), or name "
        f"a folder that has it, mnist(folder) or {FOLDER}"
    )


def _found_or_fetched(folder, name):
    try:
        return _found(folder, name)
    except FileNotFoundError:
        return _fetched(folder, name)


def _fetched(folder, name):
    """The path of a file that was downloaded; it is written under another name until checked."""
    try:
        import pooch
        from requests.exceptions import RequestException
    except ImportError as error:
        raise ImportError("downloads need pooch: pip install 'gdbook[networks]'") from error
    pooch.get_logger().setLevel("WARNING")  # the bar says what it would say
    # packed on its way once more, the file would arrive unpacked
    get = pooch.HTTPDownloader(True, timeout=_PATIENCE, headers={"Accept-Encoding": "identity"})
    file, failures = f"{name}.gz", []
    for mirror in _MIRRORS:
        try:
            return Path(pooch.retrieve(mirror + file, _SHA256[name], file, folder, downloader=get))
        except RequestException as error:
            failures.append(f"{mirror}: {error}")
        except ValueError:
            failures.append(f"{mirror}: what came does not have the SHA-256 of the file")
        except OSError as error:
            raise OSError(
                f"{folder} cannot be written to ({error}): name another folder, mnist(folder) or "
                f"{FOLDER}"
            ) from error
    raise OSError(
        f"{file} could not be downloaded. Try again later, or get it by hand, put it into a folder "
        f"and name that, mnist(folder) or {FOLDER}. What happened:\n" + "\n".join(failures)
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
