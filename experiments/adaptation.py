"""Calibrates classifiers without labels; see `ml_collections_configs/adaptation.py`.

Choices are made on styles of training images; --part=test is for what is finished.
"""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags()
PART = cli.part_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import AdaptationConfig

    config = cli.config_of(AdaptationConfig, CONFIG)

    from jxr.reporting.adaptation_figure import write_adaptation
    from jxr.studies.classification.adaptation import adaptation_study
    from jxr.studies.workdir import FILES

    workdir, cache = cli.folders()
    results = adaptation_study(config, workdir, cache, PART.value, LAUNCH())
    write_adaptation(results, workdir / "report")
    print(f"results: {workdir / FILES[PART.value]}, tables and chart: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
