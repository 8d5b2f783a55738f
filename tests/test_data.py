"""Images: what is read is what was written, and what cannot be read says why."""

import gzip
import hashlib
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import gdbook as gd
from gdbook.data import Images, chebyshev, digits, mnist

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


def test_pair_of_digits_is_two_classes_within_the_unit_ball():
    features, labels = digits().pair(0, 8)
    assert features.shape == (352, 64) and sorted(labels) == 174 * [-1] + 178 * [1]
    assert np.linalg.norm(features, axis=1).max() == pytest.approx(1, abs=1e-15)
    zeros = digits().features[digits().labels == 0]
    ratio = features[labels > 0] / np.where(zeros == 0, 1, zeros)
    np.testing.assert_allclose(ratio[zeros > 0], ratio.max(), rtol=1e-14)


@pytest.mark.parametrize(("first", "second"), [(0, 10), (-1, 0), (3, 3), (0, "eight")])
def test_pair_refuses_what_are_no_two_classes(first, second):
    with pytest.raises(ValueError, match="class"):
        digits().pair(first, second)


def test_centred_images_have_the_mean_zero():
    images = digits()
    centred = images.centred()
    np.testing.assert_allclose(centred.features.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(np.diff(centred.features, axis=0), np.diff(images.features, axis=0))


@pytest.mark.parametrize("degree", [0, 1, 4, 5, 30])
def test_chebyshev_polynomials_are_cosines(degree):
    features, targets = chebyshev(degree, number=9)
    assert features.shape == targets.shape == (9, 1)
    np.testing.assert_allclose(features[:, 0], np.arange(-4, 5) / 4)
    np.testing.assert_allclose(targets, np.cos(degree * np.arccos(features)), atol=1e-12)


def test_files_packed_and_unpacked(folder):
    images = mnist(folder)
    np.testing.assert_array_equal(images.features * 255, PIXELS.reshape(7, 20))
    np.testing.assert_array_equal(images.labels, CLASSES)
    assert images.shape == (5, 4) and images.labels.dtype == int


def test_folder_from_the_environment(folder, monkeypatch):
    monkeypatch.setenv("GDBOOK_DATA", str(folder))
    assert len(gd.data.mnist()) == 7
    monkeypatch.delenv("GDBOOK_DATA")
    monkeypatch.setattr(gd.data, "_cache", lambda: folder / "nothing")
    with pytest.raises(FileNotFoundError, match=r"mnist\(download=True\).*GDBOOK_DATA"):
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


def test_a_packed_file_that_was_cut_off(folder):
    path = folder / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for data in (whole[:-20], b"not packed", whole[:20] + b"\0" * 9 + whole[29:]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="cut off or damaged"):
            mnist(folder)


IMAGES = gzip.compress(packed(PIXELS), mtime=0)
LABELS = gzip.compress(packed(CLASSES), mtime=0)
NAMES = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


class Mirror(BaseHTTPRequestHandler):
    """A server with a folder for each thing that can happen to a file on its way."""

    def do_GET(self):
        manner, name = self.path.strip("/").split("/")
        body = dict(zip(NAMES, (IMAGES, LABELS), strict=True)).get(name)
        self.server.asked.append((manner, name))
        if body is None or manner == "missing":
            return self.send_error(404)
        if manner == "silent":
            self.server.patience.wait(60)
            return None
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        if manner == "stuck":
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.server.patience.wait(60)
        elif manner == "cut":
            self.wfile.write(body[:half])
        elif manner == "corrupt" or (manner == "labels-corrupt" and name == NAMES[1]):
            self.wfile.write(body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :])
        elif manner == "page":  # an error in the form of a page, as some networks answer
            self.wfile.write(b"<html>".ljust(len(body)))
        else:
            self.wfile.write(body)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.asked, server.patience = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.patience.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mirrors(server, monkeypatch, tmp_path):
    """Have MNIST come from folders of the server: ``mirrors("cut", "good")``."""
    sums = [hashlib.sha256(body).hexdigest() for body in (IMAGES, LABELS)]
    stems = [name.removesuffix(".gz") for name in NAMES]
    monkeypatch.setattr(gd.data, "_SHA256", dict(zip(stems, sums, strict=True)))
    monkeypatch.setattr(gd.data, "_PATIENCE", 0.5)
    monkeypatch.setattr(gd.data, "_cache", lambda: tmp_path / "cache" / "mnist")
    monkeypatch.delenv("GDBOOK_DATA", raising=False)

    def choose(*manners):
        places = [f"http://127.0.0.1:{server.server_port}/{manner}/" for manner in manners]
        monkeypatch.setattr(gd.data, "_MIRRORS", places)
        return tmp_path / "cache" / "mnist"

    return choose


def names(folder):
    return sorted(path.name for path in folder.glob("*"))


def test_a_download_is_kept_and_read_without_asking_again(mirrors, server, capfd):
    cache = mirrors("good")
    np.testing.assert_array_equal(mnist(download=True).labels, CLASSES)
    assert names(cache) == sorted(NAMES) and len(server.asked) == 2
    assert "100%" in capfd.readouterr().err  # a progress bar
    np.testing.assert_array_equal(mnist().labels, CLASSES)
    np.testing.assert_array_equal(mnist(download=True).features * 255, PIXELS.reshape(7, 20))
    assert len(server.asked) == 2 and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", ["missing", "cut", "corrupt", "page", "silent", "stuck"])
def test_the_next_mirror_is_asked_when_one_fails(bad, mirrors, server):
    cache = mirrors(bad, "good")
    begin = time.monotonic()
    assert len(mnist(download=True)) == 7
    assert [manner for manner, _ in server.asked] == [bad, "good"] * 2
    assert names(cache) == sorted(NAMES)
    assert time.monotonic() - begin < 60  # the server would be silent for a minute, twice


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("missing", "404"),
        ("cut", "incomplete"),
        ("corrupt", "SHA-256"),
        ("page", "SHA-256"),
        ("silent", "timed out"),
        ("stuck", "timed out"),
    ],
)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(bad, reason, mirrors):
    cache = mirrors(bad)
    with pytest.raises(OSError, match=r"(?s)by hand.*GDBOOK_DATA") as failure:
        mnist(download=True)
    assert reason.lower() in str(failure.value).lower() and "/" + bad + "/" in str(failure.value)
    assert names(cache) == []


def test_without_a_network(mirrors, monkeypatch):
    cache = mirrors()
    monkeypatch.setattr(gd.data, "_MIRRORS", ["http://127.0.0.1:9/", "http://no.such.host.test/"])
    with pytest.raises(OSError, match=r"(?s)127.0.0.1:9.*no.such.host.test"):
        mnist(download=True)
    assert names(cache) == []


def test_what_came_whole_is_kept_when_the_rest_fails(mirrors, server):
    cache = mirrors("labels-corrupt")
    with pytest.raises(OSError, match=NAMES[1]):
        mnist(download=True)
    assert names(cache) == [NAMES[0]]
    mirrors("good")
    server.asked.clear()
    assert len(mnist(download=True)) == 7 and server.asked == [("good", NAMES[1])]


def test_an_interrupted_download_leaves_nothing(mirrors, monkeypatch):
    import pooch

    def interrupted(self, url, output_file, pooch):
        with open(output_file, "wb") as file:
            file.write(IMAGES[:10])
        raise KeyboardInterrupt

    cache = mirrors("good")
    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mnist(download=True)
    assert names(cache) == []


def test_a_download_never_replaces_a_file(mirrors, server, folder):
    mirrors("good")
    mine = folder / "t10k-labels-idx1-ubyte"
    mine.write_bytes(b"mine")
    with pytest.raises(ValueError, match="not a whole file"):
        mnist(folder, download=True)
    assert mine.read_bytes() == b"mine" and server.asked == []
    mine.unlink()
    assert len(mnist(folder, download=True)) == 7  # into the folder that was named


def test_a_folder_that_cannot_be_made(mirrors, tmp_path):
    mirrors("good")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"(?s)cannot be written.*name another folder"):
        mnist(tmp_path / "file" / "mnist", download=True)


@pytest.mark.usefixtures("mnist")
def test_the_sums_are_those_of_the_real_files():
    for name in NAMES:
        sha256 = hashlib.sha256(Path(os.environ["GDBOOK_DATA"], name).read_bytes()).hexdigest()
        assert gd.data._SHA256[name.removesuffix(".gz")] == sha256


@pytest.mark.usefixtures("mnist")
def test_the_real_set():
    images = mnist()
    assert images.features.shape == (10_000, 784) and images.shape == (28, 28)
    assert images.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(images.labels).tolist()[:3] == [980, 1135, 1032]
    assert images.features.max() == 1
