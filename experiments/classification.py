"""Trains and scores classifiers by several recipes; see `ml_collections_configs/classification.py`.

Choices are made on validation images; --part=test is for recipes that are finished.
"""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags()
PART = cli.part_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import ClassificationConfig

    config = cli.config_of(ClassificationConfig, CONFIG)

    from jxr.reporting.classification_figure import write_classification
    from jxr.studies.classification.study import classification_study
    from jxr.studies.workdir import FILES

    workdir, cache = cli.folders()
    results = classification_study(config, workdir, cache, PART.value, LAUNCH())
    write_classification(results, workdir / "report")
    print(f"results: {workdir / FILES[PART.value]}, tables and charts: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
