"""Operations that are counted, beside sums by hand and what a CPU's compiler counts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax import lax

from jxr.config import ScheduleConfig, UNetConfig
from jxr.config.images import BlurConfig
from jxr.training.flop import count_flop
from jxr.training.parallel import data_parallel
from jxr.training.tasks import restorer_task

LEFT, RIGHT = np.ones((3, 5), np.float32), np.ones((5, 7), np.float32)
PRODUCT = 2 * 3 * 5 * 7  # a multiplication and an addition each


def product(left, right):
    return left @ right


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (product, PRODUCT),
        (jax.jit(product), PRODUCT),
        (lambda x, y: jnp.sin(x) @ y + 1, PRODUCT),
        (lambda x, y: jax.vmap(product, (None, 0))(x, jnp.stack([y] * 4)), 4 * PRODUCT),
        (lambda x, y: lax.cond(x[0, 0] > 0, product, lambda x, y: x[:, :1] * y[0], x, y), PRODUCT),
        (
            lambda x, y: lax.switch(
                2, [product, lambda x, y: product(x, y) + product(-x, y), product], x, y
            ),
            2 * PRODUCT,
        ),
        (lambda x, y: lax.scan(lambda s, _: (s + (x @ y).sum(), s), 0.0, length=6), 6 * PRODUCT),
        # Two more products: one gradient by each factor.
        (jax.value_and_grad(lambda x, y: ((x @ y) ** 2).sum(), argnums=(0, 1)), 3 * PRODUCT),
    ],
)
def test_products(function, expected):
    assert count_flop(function, LEFT, RIGHT) == expected


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(groups):
    """Each output is a sum over the kernel's places and the input channels of its group."""
    layer = nnx.Conv(4, 6, (3, 5), feature_group_count=groups, rngs=nnx.Rngs(0))
    images = jax.ShapeDtypeStruct((2, 9, 8, 4), np.float32)
    assert count_flop(layer, images) == 2 * (2 * 9 * 8 * 6) * (3 * 5 * 4 // groups)


def test_of_all_devices():
    mesh = jax.make_mesh((1,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec()
    spread = jax.shard_map(product, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    assert count_flop(spread, LEFT, RIGHT) == PRODUCT
    two = jax.sharding.AbstractMesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.shard_map(product, mesh=two, in_specs=spec, out_specs=spec, check_vma=False)
    assert count_flop(spread, LEFT, RIGHT) == 2 * PRODUCT


@pytest.mark.parametrize(("parallel", "accumulate"), [("jit", 1), ("pmap", 4)])
def test_a_training_step_beside_the_compiler_of_a_cpu(parallel, accumulate):
    """It also counts what is no product, and leaves padding out: of a U-Net that is little."""
    schedule = ScheduleConfig(batch_size=4, accumulate=accumulate)
    config = UNetConfig(width=8, depth=1, schedule=schedule)
    program = data_parallel(
        restorer_task(config, BlurConfig()), optax.sgd(1e-2), 0, parallel, accumulate
    )
    batch = {
        "image": np.ones((4, 64, 64, 1), np.float32),
        "example_id": np.arange(4, dtype=np.int32),
    }
    state = program.put_state(jax.jit(program.init)())
    batch = program.put_batch(batch)
    step = program.compile(state, batch, program.key)
    (counted,) = [step.call.cost_analysis()["flops"]]
    assert step.flop == pytest.approx(accumulate * counted, rel=0.1)
