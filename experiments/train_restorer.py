"""Trains one U-Net to restore blurred images; see `ml_collections_configs/restorer.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags(hosts=True)
ACCEPT_CHANGES = cli.changes_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Trains, or goes on with, the U-Net in the run directory."""
    from jxr.config import RestorerRun

    config = cli.config_of(RestorerRun, CONFIG)

    from jxr.studies.runs import train_restorer

    workdir, cache = cli.folders()
    train_restorer(config, workdir, cache, LAUNCH(), accept_changes=ACCEPT_CHANGES.value)
    cli.say(f"trained; scores by: python -m experiments.evaluate --workdir={workdir}")


if __name__ == "__main__":
    cli.run(main)
