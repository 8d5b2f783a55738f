"""Images: what is read is what was written, and what cannot be read says why."""

import gzip

import numpy as np
import pytest

import gdbook as gd
from gdbook.data import Images, digits, mnist

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
CLASSES = np.array([7, 2, 1, 0, 4, 1, 4], dtype=np.uint8)


def packed(array):
    """An array of bytes in the format of MNIST's files."""
    lengths = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + lengths + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed(PIXELS)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(packed(CLASSES))
    return tmp_path


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, data = digits(), load_digits()
    np.testing.assert_array_equal(images.features.reshape(-1, 8, 8) * 16, data.images)
    np.testing.assert_array_equal(images.labels, data.target)
    assert images.features.min() == 0 and images.features.max() == 1


def test_split_parts_the_images_and_keeps_their_labels():
    images = Images(np.arange(50.0).reshape(25, 2), np.arange(25), (1, 2))
    parts = images.split(10, np.random.default_rng(3))
    assert [len(part) for part in parts] == [10, 15]
    together = np.concatenate([part.labels for part in parts])
    np.testing.assert_array_equal(np.sort(together), np.arange(25))
    for part in parts:
        assert part.shape == (1, 2)
        np.testing.assert_array_equal(part.features[:, 0], 2 * part.labels)
    again, _ = images.split(10, np.random.default_rng(3))
    np.testing.assert_array_equal(again.labels, parts[0].labels)


@pytest.mark.parametrize(("train", "error"), [(26, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_split_refuses_what_it_cannot_do(train, error):
    images = Images(np.zeros((25, 2)), np.zeros(25, int), (1, 2))
    with pytest.raises(error, match="train must be"):
        images.split(train, np.random.default_rng(0))


def test_files_packed_and_unpacked(folder):
    images = mnist(folder)
    np.testing.assert_array_equal(images.features * 255, PIXELS.reshape(7, 20))
    np.testing.assert_array_equal(images.labels, CLASSES)
    assert images.shape == (5, 4) and images.labels.dtype == int


def test_folder_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("GDBOOK_DATA", str(folder))
    assert len(gd.data.mnist()) == 7
    monkeypatch.delenv("GDBOOK_DATA")
    with pytest.raises(FileNotFoundError, match="GDBOOK_DATA"):
        mnist()


def test_folder_in_the_home_of_the_user(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert len(mnist(f"~/{folder.name}")) == 7


def test_files_without_an_image(folder):
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed(PIXELS[:0])))
    (folder / "t10k-labels-idx1-ubyte").write_bytes(packed(CLASSES[:0]))
    assert mnist(folder).features.shape == (0, 20)


def test_a_part_that_is_not_there(folder):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        mnist(folder, part="train")
    with pytest.raises(ValueError, match="part must be"):
        mnist(folder, part="t10k")


def test_images_without_their_labels(folder):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(packed(CLASSES[:-1]))
    with pytest.raises(ValueError, match="7 images and 6 labels"):
        mnist(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"<html>" + data,
        lambda data: data[:3],
        lambda data: data[:6],
        lambda data: b"",
        lambda data: packed(PIXELS),  # images where labels should be
    ],
)
def test_damaged_files_are_named(folder, damage):
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(damage(packed(CLASSES)))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte is not a whole file"):
        mnist(folder)


def test_a_download_that_was_cut_off(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for data in (whole[:-20], b"not packed", whole[:20] + b"\0" * 9 + whole[29:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="cut off or damaged"):
            mnist(folder)


@pytest.mark.usefixtures("mnist")
def test_the_real_set():
    images = mnist()
    assert images.features.shape == (10_000, 784) and images.shape == (28, 28)
    assert images.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(images.labels).tolist()[:3] == [980, 1135, 1032]
    assert images.features.max() == 1
