"""Trains one head on frozen VGG-16; see `ml_collections_configs/classifier.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags(hosts=True)
ACCEPT_CHANGES = cli.changes_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Trains, or goes on with, the head in the run directory."""
    from jxr.config import ClassifierRun

    config = cli.config_of(ClassifierRun, CONFIG)

    from jxr.studies.runs import train_classifier

    workdir, cache = cli.folders()
    train_classifier(config, workdir, cache, LAUNCH(), accept_changes=ACCEPT_CHANGES.value)
    cli.say(f"trained; scores by: python -m experiments.evaluate --workdir={workdir}")


if __name__ == "__main__":
    cli.run(main)
