"""Charts, tables and the page that show what results.json holds, beside the report's numbers."""

from jxr.reporting.figures import (
    kernel_figure,
    restoration_figure,
    roc_figure,
    table1_figure,
    write_figures,
)
from jxr.reporting.page import write_page
from jxr.reporting.report import write_report
from jxr.reporting.report_values import published_accuracy, published_mse
from jxr.reporting.tables import (
    Table,
    classification_table,
    paired_table,
    restoration_table,
    summary,
    to_markdown,
    without,
)

__all__ = [
    "Table",
    "classification_table",
    "kernel_figure",
    "paired_table",
    "published_accuracy",
    "published_mse",
    "restoration_figure",
    "restoration_table",
    "roc_figure",
    "summary",
    "table1_figure",
    "to_markdown",
    "without",
    "write_figures",
    "write_page",
    "write_report",
]
