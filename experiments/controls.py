"""Scores what shortcuts alone tell; see `ml_collections_configs/controls.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import ControlsConfig

    config = cli.config_of(ControlsConfig, CONFIG)

    from jxr.reporting.controls_figure import write_controls
    from jxr.studies.classification.controls_study import controls_study

    workdir, cache = cli.folders()
    results = controls_study(config, workdir, cache)
    write_controls(results, workdir / "report")
    print(f"results: {workdir / 'results.json'}, tables and chart: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
