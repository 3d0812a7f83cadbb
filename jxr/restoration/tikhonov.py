"""Tikhonov regularisation for any linear operator, by conjugate gradients."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float

from jxr.optics.checks import as_images, check_choice, check_number, check_range
from jxr.optics.operators import LinearOperator, check_operator
from jxr.optics.psf import Scalar
from jxr.restoration.total_variation import divergence, gradient

Penalty = Literal["identity", "gradient"]


def tikhonov(
    blurred: Float[Array, "*batch height width channels"],
    operator: LinearOperator,
    regularisation: Scalar,
    *,
    penalty: Penalty = "identity",
    iterations: int = 1000,
    tolerance: float = 1e-6,
) -> Float[Array, "*batch height width channels"]:
    """Returns the minimiser of |A x - y|^2 + k |L x|^2, for L the identity or the gradient.

    Solves (A^T A + k L^T L) x = A^T y by conjugate gradients, each image until it has converged on
    its own. For a symmetric reflect blur and L the identity this is `jxr.restoration.wiener`, which
    is faster; this one takes any operator. The derivative by `blurred`, the regularisation and
    whatever the operator holds is that of the exact solution (implicit function, one more solve),
    whatever the number of iterations.

    Conjugate gradients need about sqrt(|A|^2 / k) iterations for each digit.

    Args:
        blurred: y, float32 or float64.
        operator: A and its adjoint.
        regularisation: k, > 0 and <= 1e12 (float32 overflows later); may be traced.
        penalty: 'identity' damps all that the blur has lost; 'gradient' (forward differences,
            mirrored at the edge) damps fine detail and leaves the mean brightness alone.
        iterations: the most to take; where they do not suffice the last estimate is returned.
        tolerance: > 0; stops where the residual of the normal equations is below this part of
            |A^T y|. float32 reaches about 1e-6.

    Returns:
        The restored images, of the shape and dtype of `blurred`, not clipped.

    Raises:
        ValueError: if the penalty is unknown, iterations below 1, the regularisation or tolerance
            out of its range, or the images are no float numbers.
    """
    blurred = as_images("blurred", blurred)
    check_operator(operator)
    check_choice("penalty", penalty, get_args(Penalty))
    check_number("regularisation", regularisation, 0, 1e12)
    check_range("tolerance", tolerance, 0)
    if iterations < 1:
        raise ValueError(f"iterations must be >= 1, not {iterations}")
    strength = jnp.asarray(regularisation, blurred.dtype)

    def normal(x):
        roughness = x if penalty == "identity" else -divergence(*gradient(x))
        return operator.adjoint(operator.forward(x)) + strength * roughness

    def solve(image):
        return cg(normal, operator.adjoint(image), tol=tolerance, maxiter=iterations)[0]

    # Under vmap the loop goes on until the last image has converged and leaves the others as
    # they are; one solve for the whole batch would mix their step lengths.
    images = blurred.reshape(-1, *blurred.shape[-3:])
    return jax.vmap(solve)(images).reshape(blurred.shape)
