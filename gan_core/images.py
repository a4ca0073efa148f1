"""Small images as rows of numbers in [0, 1]: scikit-learn's digits, and Fashion-MNIST by OpenML."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_core.data import Empirical

__all__ = ["Images", "digits", "fashion_mnist"]

Array = NDArray[np.float64]

_FASHION_MNIST = 40996  # OpenML's number of the data set


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Images, flattened row by row, with their labels.

    Parameters
    ----------
    pixels : array, shape (count, height * width)
        In [0, 1].
    labels : array of int, shape (count,)
    shape : (int, int)
        Height and width.

    Examples
    --------
    >>> images = digits()
    >>> images.pixels.shape, images.shape, images.of(7).size
    ((1797, 64), (8, 8), 64)
    """

    pixels: Array
    labels: NDArray[np.int64]
    shape: tuple[int, int]

    def sampler(self) -> Empirical:
        """Batches of all images.

        Examples
        --------
        >>> len(digits().sampler())
        1797
        """
        return Empirical(points=self.pixels)

    def of(self, *labels: int) -> Empirical:
        """Batches of the images with one of these labels.

        Raises
        ------
        ValueError
            If there are none.

        Examples
        --------
        >>> len(digits().of(0, 1))
        360
        """
        chosen = np.isin(self.labels, labels)
        if not chosen.any():
            raise ValueError(
                f"`labels` must name some of {sorted(set(self.labels.tolist()))}, got {labels}"
            )
        return Empirical(points=self.pixels[chosen])

    def grid(self, rows: ArrayLike) -> Array:
        """Flattened images as images, shape (..., height, width).

        Examples
        --------
        >>> digits().grid(digits().pixels[:3]).shape
        (3, 8, 8)
        """
        flat = np.asarray(rows, dtype=np.float64)
        return flat.reshape(*flat.shape[:-1], *self.shape)


def digits() -> Images:
    """The 1797 handwritten digits of scikit-learn, 8 x 8 pixels; no network is needed.

    Returns
    -------
    Images

    Raises
    ------
    ImportError
        Without scikit-learn.

    Examples
    --------
    >>> float(digits().pixels.min()), float(digits().pixels.max())
    (0.0, 1.0)
    """
    bunch = _sklearn().load_digits()
    return Images(
        pixels=np.asarray(bunch.data, dtype=np.float64) / 16.0,
        labels=np.asarray(bunch.target, dtype=np.int64),
        shape=(8, 8),
    )


def fashion_mnist(data_home: str | os.PathLike[str] | None = None) -> Images:
    """The 70000 images of Fashion-MNIST, 28 x 28 pixels, from OpenML through scikit-learn.

    Parameters
    ----------
    data_home : path, optional
        Where scikit-learn keeps what it downloads; its own folder if left out. Files that are there
        are read, in about ten seconds, and nothing is downloaded.

    Returns
    -------
    Images
        In OpenML's order: 60000 for training, then 10000 for testing.

    Raises
    ------
    ImportError
        Without scikit-learn.
    ConnectionError
        If the files are neither there nor to be had from the network.
    ValueError
        If what was read is not a table of square images with pixels from 0 to 255.

    References
    ----------
    Xiao, Rasul, Vollgraf, *Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms*, 2017.

    Examples
    --------
    >>> fashion_mnist("/nowhere/to/be/found")
    Traceback (most recent call last):
        ...
    ValueError: `data_home` '/nowhere/to/be/found' is no folder; create it
    """
    if data_home is not None and not os.path.isdir(data_home):
        raise ValueError(f"`data_home` {os.fspath(data_home)!r} is no folder; create it")
    bunch = _fetched(_sklearn(), None if data_home is None else os.fspath(data_home))
    pixels = np.asarray(bunch.data, dtype=np.float64)
    side = round(np.sqrt(pixels.shape[1])) if pixels.ndim == 2 else 0
    in_range = np.isfinite(pixels).all() and pixels.min() >= 0.0 and pixels.max() <= 255.0
    if side * side != pixels.shape[-1] or not in_range:
        raise ValueError(
            f"OpenML's file holds a table of shape {pixels.shape}, not square images with pixels "
            "from 0 to 255; remove it from `data_home` and download it again"
        )
    return Images(
        pixels=pixels / 255.0,
        labels=np.asarray(bunch.target).astype(np.int64),
        shape=(side, side),
    )


def _fetched(datasets: Any, data_home: str | None) -> Any:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of every retry: the error below says it once
            return datasets.fetch_openml(
                data_id=_FASHION_MNIST,
                data_home=data_home,
                as_frame=False,
                # Slower than pandas', which fails on labels that are integers and, before it
                # reports that, removes the file that was downloaded.
                parser="liac-arff",
                n_retries=1,
            )
    except OSError as error:  # URLError, HTTPError and time-outs are its kinds
        raise ConnectionError(
            f"Fashion-MNIST is not in `data_home` and cannot be downloaded ({error}); copy a "
            "`data_home` from a machine with a network, or use `digits()`, which needs none"
        ) from error


def _sklearn() -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "images come with scikit-learn; install it with `pip install scikit-learn`"
        ) from error
    return datasets
