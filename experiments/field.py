"""Studies blur that varies over the field; see `ml_collections_configs/field.py`."""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Runs what is left of the study in the run directory."""
    from jxr.config import FieldConfig

    config = cli.config_of(FieldConfig, CONFIG)

    from jxr.reporting.field_figure import write_field
    from jxr.studies.field.study import field_study

    workdir, cache = cli.folders()
    results = field_study(config, workdir, cache)
    write_field(results, workdir / "report")
    print(f"results: {workdir / 'results.json'}, tables and charts: {workdir / 'report'}")


if __name__ == "__main__":
    cli.run(main)
