"""Charts, tables and the page that show what results.json holds, beside the report's numbers."""

from jxr.reporting.examples import Examples, examples_figure, read_examples
from jxr.reporting.figures import (
    kernel_figure,
    restoration_figure,
    table1_figure,
    write_figures,
)
from jxr.reporting.page import write_page
from jxr.reporting.report import write_report, write_restoration
from jxr.reporting.report_values import published_accuracy, published_mse
from jxr.reporting.roc_figure import roc_figure
from jxr.reporting.structure import structure_figure
from jxr.reporting.tables import (
    Table,
    classification_table,
    paired_table,
    restoration_table,
    summary,
    to_markdown,
    without,
)
from jxr.reporting.unet_figure import unet_figure

__all__ = [
    "Examples",
    "Table",
    "classification_table",
    "examples_figure",
    "kernel_figure",
    "paired_table",
    "published_accuracy",
    "published_mse",
    "read_examples",
    "restoration_figure",
    "restoration_table",
    "roc_figure",
    "structure_figure",
    "summary",
    "table1_figure",
    "to_markdown",
    "unet_figure",
    "without",
    "write_figures",
    "write_page",
    "write_report",
    "write_restoration",
]
