"""Trains one restorer for all blurs and noises; see `ml_collections_configs/wiener_net.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags(hosts=True)
ACCEPT_CHANGES = cli.changes_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Trains, or goes on with, the network in the run directory."""
    from jxr.config import WienerNetRun

    config = cli.config_of(WienerNetRun, CONFIG)

    from jxr.studies.wiener_nets import train_wiener_net

    workdir, cache = cli.folders()
    train_wiener_net(config, workdir, cache, LAUNCH(), accept_changes=ACCEPT_CHANGES.value)
    cli.say(
        f"trained; weights by: python -m experiments.export_restorer --workdir={workdir}"
        f" --output={workdir / 'restorer.safetensors'}"
    )


if __name__ == "__main__":
    cli.run(main)
