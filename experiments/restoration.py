"""Compares classical restoration methods; see `ml_collections_configs/restoration.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the table in the run directory."""
    from jxr.config import RestorationTableConfig

    config = cli.config_of(RestorationTableConfig, CONFIG)

    from jxr.reporting import write_restoration
    from jxr.studies.restoration.table import restoration_table

    workdir, cache = cli.folders()
    results = restoration_table(config, workdir, cache)
    write_restoration(results, workdir / "report")
    print(f"results: {workdir / 'results.json'}, tables and chart: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
