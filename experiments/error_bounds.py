"""Calibrates the bounds that `experiments.deblur --error_map` writes.

python -m experiments.error_bounds --config=ml_collections_configs/restorer_study.py:kermany \\
    --config.data.path=FOLDER --output=FILE.json [--config.part=test]
"""

from absl import flags

from experiments import cli

CONFIG = cli.config_flag()
OUTPUT = flags.DEFINE_string("output", None, "The file of the bounds, JSON.", required=True)
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Calibrates, scores and writes."""
    from jxr.config import RestorerStudyConfig

    config = cli.config_of(RestorerStudyConfig, CONFIG)

    from jxr.studies.restoration.error_bounds import error_bounds_study

    output = cli.path_of(OUTPUT)
    results = error_bounds_study(config, cli.path_of(cli.CACHE), output)
    covered = f"{results['coverage']:.3f} covered, {results['level']:g} wanted"
    print(f"{covered}, on {results['scored_on']}: {output}")


if __name__ == "__main__":
    cli.run(main, workdir=False)
