"""Measures how time and memory grow with the image and with the models of a sweep; draws it.

python -m experiments.growth [--output=DIR] [--sizes=224,512,1024,2048,4096] [--members=1,2,4,8]

Each row is measured in a process of its own. Writes growth.json and growth.png.
"""

from absl import flags

from experiments import cli

OUTPUT = flags.DEFINE_string("output", "experiments/results/growth", "Folder of what is written.")
SIZES = flags.DEFINE_list(
    "sizes", ["224", "512", "1024", "2048", "4096"], "Pixels along an axis of the images."
)
MEMBERS = flags.DEFINE_list("members", ["1", "2", "4", "8", "16", "32"], "Models in a sweep.")
REPEATS = flags.DEFINE_integer(
    "repeats", 3, "Samples of each row, of which the median counts.", lower_bound=1
)
SCALE = flags.DEFINE_enum("scale", "full", ["full", "tiny"], "tiny: to try the command itself.")
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Measures, writes and draws."""
    sizes = whole_numbers("sizes", SIZES.value, at_least=128)
    members = whole_numbers("members", MEMBERS.value, at_least=1)
    output = cli.measured_output(OUTPUT, SCALE)

    from jxr.reporting.growth_figure import growth_figure
    from jxr.studies.bench.growth import growth

    results = growth(
        sizes, members, output / "growth.json", repeats=REPEATS.value, scale=SCALE.value
    )
    growth_figure(results).savefig(output / "growth.png", dpi=150)
    for work, powers in results["exponents"].items():
        print(f"{work}: seconds ~ n^{powers['seconds']}, memory ~ n^{powers['peak_mb']}")
    print(f"results and chart: {output}")


def whole_numbers(name: str, texts: list[str], *, at_least: int) -> tuple[int, ...]:
    """Returns the numbers of a flag, in the order given."""
    from jxr.errors import UserError

    numbers = tuple(int(text) for text in texts if text.strip().isdecimal())
    if not texts or len(set(numbers)) < len(texts) or min(numbers) < at_least:
        raise UserError(
            f"--{name} takes whole numbers from {at_least} on, each once, separated by commas"
        )
    return numbers


if __name__ == "__main__":
    cli.run(main, workdir=False)
