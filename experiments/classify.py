"""Classifies your own radiographs with a run that you trained. Research code, no diagnosis.

python -m experiments.classify --workdir=RUN --input=FILE|FOLDER --output=FOLDER [--gradcam]

RUN is a finished run of train_classifier or reproduce. Probabilities are calibrated on its
validation images, once: RUN/calibration.json. The output folder gets predictions.csv,
predictions.json and README.txt, and with --gradcam NAME-gradcam-TASK.png for each image.
"""

from absl import flags

from experiments import cli

INPUT = flags.DEFINE_string("input", None, "An image file, or a folder of them.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder of the results.", required=True)
GRADCAM = flags.DEFINE_bool("gradcam", False, "Write a Grad-CAM overlay of each image.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace results that are there already.")
DATA_PATH = flags.DEFINE_string(
    "data_path", None, "Where the run's images lie, if they have moved; only to calibrate."
)
WEIGHTS_PATH = flags.DEFINE_string(
    "weights_path", None, "Where the run's VGG-16 weights lie, if they have moved."
)
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Classifies, writes the results and says how many there are of each class."""
    from jxr.studies.radiographs.batch_files import require_all
    from jxr.studies.radiographs.classify import classify
    from jxr.studies.radiographs.predictions import counts

    workdir, cache = cli.folders()
    output = cli.path_of(OUTPUT)
    found = classify(
        workdir,
        cache,
        cli.path_of(INPUT),
        output,
        gradcam=GRADCAM.value,
        overwrite=OVERWRITE.value,
        data_path=DATA_PATH.value,
        weights_path=WEIGHTS_PATH.value,
    )
    total = len(found.predictions) + len(found.failures)
    print(f"classified {len(found.predictions)} of {total} files: {output}")
    for line in (*counts(found), *found.notes):
        print(line)
    require_all(found.failures, total, done="classified")


if __name__ == "__main__":
    cli.run(main)
