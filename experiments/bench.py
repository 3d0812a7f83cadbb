"""Times our work and a peer's side by side, and writes a row for each.

python -m experiments.bench [--what=blur,wiener] [--repeats=5] [--output=FILE]

Ours and the peer (SciPy, scikit-image, PyTorch) alternate on the same inputs and as many threads,
after a check that the results agree; medians are compared. Rows of peers that are not installed are
left out. On a GPU it is the same command. Beside FILE.json, FILE.md has all its rows as tables.
"""

import os

from absl import flags

from experiments import cli

WHAT = flags.DEFINE_list("what", [], "What to time, separated by commas; everything if not given.")
OUTPUT = flags.DEFINE_string(
    "output", "experiments/results/bench.json", "File of the rows; a rerun replaces its own."
)
REPEATS = flags.DEFINE_integer(
    "repeats", 5, "Samples of each side, of which the median counts.", lower_bound=1
)
SCALE = flags.DEFINE_enum("scale", "full", ["full", "tiny"], "tiny: to try the command itself.")
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Measures, writes the file and prints the new rows."""
    output = cli.measured_output(OUTPUT, SCALE)
    # PyTorch wants memory on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    from jxr.files import write_whole
    from jxr.reporting.bench_table import bench_page, bench_table
    from jxr.reporting.tables import to_markdown
    from jxr.studies.bench.benchmark import read_rows, run_bench

    rows = run_bench(WHAT.value, output, repeats=REPEATS.value, scale=SCALE.value)
    write_whole(output.with_suffix(".md"), bench_page(read_rows(output)).encode())
    print(to_markdown(bench_table(rows)))
    print(f"rows: {output}, as tables: {output.with_suffix('.md')}")


if __name__ == "__main__":
    cli.run(main, workdir=False)
