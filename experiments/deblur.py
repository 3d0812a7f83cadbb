"""Deblurs radiographs by the shipped network, or by a classical method; no training, no config.

python -m experiments.deblur --input=FILE|FOLDER --output=FOLDER [--sigma=PIXELS]

PNG, JPEG, TIFF and DICOM (extra 'dicom') in, the same kind out, JPEG as PNG. Blur and noise are
estimated where they are not given. This is research software: no result is for diagnosis.
"""

from typing import TYPE_CHECKING, Any, cast

from absl import flags

from experiments import cli

if TYPE_CHECKING:
    from jxr.studies.radiographs.blur import Exposure

INPUT = flags.DEFINE_string("input", None, "A radiograph, or a folder of them.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "The folder of the results.", required=True)
METHOD = flags.DEFINE_enum(
    "method",
    "network",
    ["network", "wiener", "richardson_lucy", "total_variation"],
    "What restores the images.",
)
SIGMA = flags.DEFINE_float("sigma", None, "Standard deviation of the Gaussian blur in pixels.")
NOISE = flags.DEFINE_float("noise", None, "Standard deviation of the noise, image range 1.")
FOCAL_SPOT = flags.DEFINE_float(
    "focal_spot_mm",
    None,
    "Instead of --sigma: size of the focal spot, its full width at 15 % of the maximum.",
)
SOURCE_DETECTOR = flags.DEFINE_float(
    "source_detector_mm", None, "Distance from the focal spot to the detector."
)
SOURCE_OBJECT = flags.DEFINE_float(
    "source_object_mm", None, "Distance from the focal spot to the plane of interest."
)
PITCH = flags.DEFINE_float(
    "pixel_pitch_mm", None, "Distance of the image's pixels on the detector; DICOM files say it."
)
ERROR_MAP = flags.DEFINE_bool(
    "error_map", False, "Write a bound on each pixel's error too: NAME-error.tif, float32."
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace results that are there.")
TILE = flags.DEFINE_integer(
    "tile", 512, "Largest side of the network's tiles in pixels, even: less needs less memory."
)


def main() -> None:
    """Deblurs what is asked for."""
    from jxr.studies.radiographs.blur import Deblurring
    from jxr.studies.radiographs.deblur_files import deblur_files

    method = cast(Any, METHOD.value)
    wanted = Deblurring(method, SIGMA.value, exposure(), NOISE.value, TILE.value)
    output = cli.path_of(OUTPUT)
    count = deblur_files(
        cli.path_of(INPUT),
        output,
        wanted,
        overwrite=OVERWRITE.value,
        error_map=ERROR_MAP.value,
    )
    print(f"deblurred {count} of {count} files: {output}. Research software, not for diagnosis.")


def exposure() -> "Exposure | None":
    """Returns the exposure in millimetres, or None if none of its flags is given."""
    from jxr.errors import UserError
    from jxr.studies.radiographs.blur import Exposure

    needed = (FOCAL_SPOT, SOURCE_DETECTOR, SOURCE_OBJECT)
    values: dict[str, Any] = {flag.name: flag.value for flag in needed}
    if set(values.values()) == {None}:
        if PITCH.value is not None:
            raise UserError("--pixel_pitch_mm is part of an exposure: give --focal_spot_mm too")
        return None
    missing = [f"--{name}" for name, value in values.items() if value is None]
    if missing:
        raise UserError(f"an exposure needs {' and '.join(missing)} too")
    return Exposure(**values, pixel_pitch_mm=PITCH.value)


if __name__ == "__main__":
    cli.run(main, workdir=False)
