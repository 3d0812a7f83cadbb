"""Sweeps classifiers over blur and noise; see `ml_collections_configs/sweep_sigma.py`.

--part=test is for a recipe that is finished.
"""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags()
PART = cli.part_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import SigmaSweepConfig

    config = cli.config_of(SigmaSweepConfig, CONFIG)

    from jxr.reporting.sweep_figure import write_sigma_sweep
    from jxr.studies.sweep.study import sigma_sweep_study
    from jxr.studies.workdir import FILES

    workdir, cache = cli.folders()
    results = sigma_sweep_study(config, workdir, cache, PART.value, LAUNCH())
    write_sigma_sweep(results, workdir / "report")
    print(f"results: {workdir / FILES[PART.value]}, tables and chart: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
