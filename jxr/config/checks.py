"""Checks that several configs share; each raises UserError."""

import math

from jxr.errors import UserError


def check_seed(seed: int, name: str = "seed") -> None:
    """Raises UserError for a seed that the data pipeline could not take."""
    if not 0 <= seed < 2**32:
        raise UserError(f"{name} is {seed}: give a number from 0 to 2^32 - 1")


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Raises UserError for seeds that no mean can be taken over."""
    if not seeds or len(set(seeds)) < len(seeds):
        raise UserError(f"seeds is {seeds}: give at least one, each once, such as (0, 1)")
    for seed in seeds:
        check_seed(seed)


def check_each_once(name: str, values: tuple) -> None:
    """Raises UserError for a list of settings that is empty or has one of them twice."""
    if not values or len(set(values)) < len(values):
        raise UserError(f"{name} is {values}: give at least one, each once")


def check_scoring(tasks: tuple[str, ...], bootstrap_samples: int, caliper: float = 1.0) -> None:
    """Raises UserError for what no table of scores can be made with."""
    if len(set(tasks)) < len(tasks):
        raise UserError(f"tasks is {tasks}: give each once")
    if not (math.isfinite(caliper) and caliper > 0):
        raise UserError(f"caliper is {caliper}: give a positive number")
    if bootstrap_samples < 100:
        raise UserError(f"bootstrap_samples is {bootstrap_samples}: give 100 or more")
