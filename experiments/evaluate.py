"""Scores what train_classifier or train_restorer left in a run directory.

python -m experiments.evaluate --workdir=DIR [--part=test] [--data_path=PATH]
"""

from absl import flags

from experiments import cli

PART = cli.part_flag()
DATA_PATH = flags.DEFINE_string(
    "data_path", None, "Where the run's images lie, if they have moved."
)
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Prints the scores and writes them into the run directory."""
    from jxr.reporting import classification_table, restoration_table, to_markdown, without
    from jxr.studies.runs import evaluate

    workdir, cache = cli.folders()
    results = evaluate(workdir, cache, PART.value, data_path=DATA_PATH.value)
    if "classification" in results:
        table = classification_table(results["classification"])
    else:
        table = restoration_table(results["restoration"])
    if PART.value != "test":  # the report's numbers are of test images
        table = without(table, {"Report", "Report's MSE"})
    print(to_markdown(table))
    print(f"results: {workdir / PART.value}.json")


if __name__ == "__main__":
    cli.run(main)
