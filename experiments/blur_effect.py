"""Trains and tests on each blur; see `ml_collections_configs/blur_effect.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import BlurEffectConfig

    config = cli.config_of(BlurEffectConfig, CONFIG)

    from jxr.reporting.blur_effect_figure import write_blur_effect
    from jxr.studies.classification.blur_effect import blur_effect_study

    workdir, cache = cli.folders()
    results = blur_effect_study(config, workdir, cache)
    write_blur_effect(results, workdir / "report")
    print(f"results: {workdir / 'results.json'}, tables and chart: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
