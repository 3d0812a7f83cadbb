"""Runs the whole report; see `ml_collections_configs/reproduce.py` for the configs."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
LAUNCH = cli.launch_flags()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the report in the run directory."""
    from jxr.config import ReproduceConfig

    config = cli.config_of(ReproduceConfig, CONFIG)

    from jxr.reporting import read_examples, write_report
    from jxr.studies.reproduction.reproduce import reproduce
    from jxr.studies.reproduction.restoration_stage import EXAMPLES

    workdir, cache = cli.folders()
    results = reproduce(config, workdir, cache, LAUNCH())
    write_report(results, workdir / "report", examples=read_examples(workdir / EXAMPLES))
    print(f"results: {workdir / 'results.json'}, page: {workdir / 'report' / 'index.html'}")


if __name__ == "__main__":
    cli.run(main)
