"""What no restoration takes is refused by a line that says what to give instead."""

import jax.numpy as jnp
import jaxtyping
import pytest

from jxr.optics import psf_operator
from jxr.restoration import richardson_lucy, tikhonov, total_variation

X, PSF, SEVERAL = jnp.ones((2, 5, 6, 1)), jnp.full((3, 3), 1 / 9), jnp.array([0.1, 0.2])
OPERATOR = psf_operator(PSF)
MISUSES = [
    ("psf_operator", lambda: richardson_lucy(X, PSF, iterations=2)),
    ("psf_operator", lambda: total_variation(X, PSF, 0.1, iterations=2)),
    ("psf_operator", lambda: tikhonov(X, PSF, 0.1)),
    ("weight must be one number", lambda: total_variation(X, OPERATOR, SEVERAL, iterations=2)),
    ("regularisation must be one number", lambda: tikhonov(X, OPERATOR, SEVERAL)),
    ("tv must be one number", lambda: richardson_lucy(X, OPERATOR, iterations=2, tv=SEVERAL)),
]


@pytest.mark.parametrize(("message", "call"), MISUSES, ids=[f"{i}" for i in range(len(MISUSES))])
def test_a_psf_for_an_operator_and_several_numbers_for_one(message, call, monkeypatch):
    # Off, as for users: types hold these back before the function itself can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        call()
