"""Work of known cost, in a module of its own: what measures it in a new process loads it."""

import time

import numpy as np

from jxr.studies.bench.growth import cost


def known_cost():
    kept = [np.ones(10_000_000)]  # 80 MB

    def work():
        kept.append(np.ones(20_000_000))
        time.sleep(0.3)
        kept.pop()

    return cost(lambda: work, 1)
