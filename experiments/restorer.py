"""Scores the restorer for all blurs; see `ml_collections_configs/restorer_study.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import RestorerStudyConfig

    config = cli.config_of(RestorerStudyConfig, CONFIG)

    from jxr.reporting.restorer_figure import write_restorer
    from jxr.studies.restoration.study import restorer_study

    workdir, cache = cli.folders()
    results = restorer_study(config, workdir, cache)
    write_restorer(results, workdir / "report")
    print(f"results: {workdir / 'results.json'}, tables and charts: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
