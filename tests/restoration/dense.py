"""Dense matrices of blur and gradient, written down entry by entry with NumPy alone."""

import numpy as np


def gaussian(sigma, radius):
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def lopsided_psf(rows=3, columns=5):
    """Symmetric along no axis, so that an adjoint that forgets to mirror shows."""
    psf = np.random.default_rng(7).random((rows, columns)) ** 2
    return psf / psf.sum()


def blur_matrix(psf, height, width, boundary="reflect"):
    """Maps the flattened image to the flattened blurred image (a true convolution)."""
    matrix = np.zeros((height, width, height, width))
    rows, columns = psf.shape[0] // 2, psf.shape[1] // 2
    for i, j in np.ndindex(height, width):
        for di in range(-rows, rows + 1):
            for dj in range(-columns, columns + 1):
                source = _source(i - di, height, boundary), _source(j - dj, width, boundary)
                if None not in source:
                    matrix[i, j, source[0], source[1]] += psf[di + rows, dj + columns]
    return matrix.reshape(height * width, height * width)


def _source(i, n, boundary):
    if 0 <= i < n:
        return i
    return {
        "reflect": -1 - i if i < 0 else 2 * n - 1 - i,
        "zero": None,
        "edge": 0 if i < 0 else n - 1,
    }[boundary]


def gradient_matrices(height, width):
    """Forward differences down the rows and along the columns, 0 at the far edge."""

    def differences(n):
        matrix = np.eye(n, k=1) - np.eye(n)
        matrix[-1] = 0
        return matrix

    return (
        np.kron(differences(height), np.eye(width)),
        np.kron(np.eye(height), differences(width)),
    )
