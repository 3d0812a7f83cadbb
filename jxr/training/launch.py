"""How a training is launched: nothing of this changes its result."""

from typing import NamedTuple

from jxr.training.parallel import Parallel


class Launch(NamedTuple):
    """What a command's flags say of its trainings.

    Attributes:
        parallel: How a step is spread over the devices; checkpoints are the same either way.
        profile: Whether a trace of a few steps is written to `profile/` in the run directory.
        tensorboard: Whether metrics go to `tensorboard/` too.
    """

    parallel: Parallel = "jit"
    profile: bool = False
    tensorboard: bool = False


PLAIN = Launch()
