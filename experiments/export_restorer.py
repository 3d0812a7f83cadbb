"""Writes what train_wiener_net left in a run directory as a weights file.

python -m experiments.export_restorer --workdir=DIR --output=FILE.safetensors
"""

from absl import flags

from experiments import cli

OUTPUT = flags.DEFINE_string("output", None, "The weights file, safetensors.", required=True)
flags.adopt_module_key_flags(cli)


def main() -> None:
    """Writes the file."""
    from jxr.studies.wiener_nets import export_wiener_net

    workdir, _ = cli.folders()
    output = cli.path_of(OUTPUT)
    export_wiener_net(workdir, output)
    print(f"weights: {output}; scores by experiments.restorer --config.restorer.path={output}")


if __name__ == "__main__":
    cli.run(main)
