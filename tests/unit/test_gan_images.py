"""Images are read as rows in [0, 1], from scikit-learn and from files in OpenML's format."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import urllib.error
import urllib.request

import numpy as np
import pytest

pytest.importorskip("sklearn")

from gan_core.images import Images, digits, fashion_mnist

SIDE = 3


def arff(pixels, labels):
    lines = ["@relation 'Fashion-MNIST'"]
    lines += [f"@attribute pixel{i + 1} REAL" for i in range(pixels.shape[1])]
    lines += ["@attribute class {0,1,2,3,4,5,6,7,8,9}", "@data"]
    lines += [",".join(str(v) for v in (*row, label)) for row, label in
              zip(pixels, labels, strict=True)]  # fmt: skip
    return "\n".join(lines) + "\n"


def openml_files(folder, pixels, labels, columns=None):
    """What scikit-learn would have downloaded, for a small table, where it looks for it."""
    content = arff(pixels, labels).encode()
    columns = pixels.shape[1] if columns is None else columns
    feature = {
        "data_type": "numeric",
        "is_ignore": "false",
        "is_row_identifier": "false",
        "is_target": "false",
        "number_of_missing_values": "0",
    }
    features = [{"index": str(i), "name": f"pixel{i + 1}", **feature} for i in range(columns)]
    target = {"index": str(columns), "name": "class", **feature}
    target |= {"data_type": "nominal", "is_target": "true"}
    target["nominal_value"] = [str(i) for i in range(10)]
    description = {
        "id": "40996",
        "name": "Fashion-MNIST",
        "version": "1",
        "description": "small",
        "format": "ARFF",
        "status": "active",
        "file_id": "18238735",
        "url": "https://api.openml.org/data/v1/download/18238735/Fashion-MNIST.arff",
        "md5_checksum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "default_target_attribute": "class",
    }
    qualities = [{"name": "NumberOfInstances", "value": str(float(len(pixels)))}]
    documents = {
        "api/v1/json/data/40996": {"data_set_description": description},
        "api/v1/json/data/features/40996": {"data_features": {"feature": [*features, target]}},
        "api/v1/json/data/qualities/40996": {"data_qualities": {"quality": qualities}},
    }
    written = {name: json.dumps(text).encode() for name, text in documents.items()}
    written["data/v1/download/18238735/Fashion-MNIST.arff"] = content
    for name, text in written.items():
        path = folder / "openml" / "openml.org" / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wb") as file:
            file.write(text)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_fashion_mnist_is_read_from_files_in_openmls_format(tmp_path, no_network):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(12, SIDE * SIDE))
    labels = np.arange(12) % 10
    openml_files(tmp_path, pixels, labels)
    images = fashion_mnist(tmp_path)
    np.testing.assert_array_equal(images.pixels, pixels / 255.0)
    np.testing.assert_array_equal(images.labels, labels)
    assert images.shape == (SIDE, SIDE)
    np.testing.assert_array_equal(images.grid(images.pixels)[3], pixels[3].reshape(3, 3) / 255.0)


def test_no_network_is_one_clear_error(tmp_path, no_network):
    with pytest.raises(ConnectionError, match=r"cannot be downloaded .*`digits\(\)`"):
        fashion_mnist(tmp_path)


def test_a_missing_folder_is_named():
    with pytest.raises(ValueError, match="`data_home` '/nowhere' is no folder"):
        fashion_mnist("/nowhere")


@pytest.mark.parametrize("pixels", [np.full((2, 5), 1), np.full((2, 4), 300)])
def test_a_table_that_is_no_images_is_refused(tmp_path, no_network, pixels):
    openml_files(tmp_path, pixels, np.array([0, 1]))
    with pytest.raises(ValueError, match="not square images with pixels from 0 to 255"):
        fashion_mnist(tmp_path)


def test_digits_are_scaled_to_the_unit_interval_and_chosen_by_label():
    images = digits()
    assert images.pixels.min() == 0.0
    assert images.pixels.max() == 1.0
    assert len(images.of(3, 5)) == int(np.isin(images.labels, [3, 5]).sum())
    assert images.sampler().size == 64
    with pytest.raises(ValueError, match="`labels` must name some of"):
        images.of(11)


def test_images_keep_rows_together():
    images = Images(pixels=np.arange(6.0).reshape(1, 6), labels=np.array([1]), shape=(2, 3))
    assert images.grid(images.pixels)[0].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
