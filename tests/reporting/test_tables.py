"""Cells of the tables, written out by hand."""

from jxr.reporting import Table, classification_table, paired_table, restoration_table, to_markdown
from jxr.reporting.tables import error_table, p_value, to_hundredths
from tests.reporting.fake_results import classification_row, fake_results, restoration_row


def only_row(table):
    assert len(table.rows) == 1
    return dict(zip(table.columns, table.rows[0], strict=True))


def test_classification_row():
    cells = only_row(
        classification_table([classification_row(test_on="recovered", restorer="unet")])
    )
    assert cells == {
        "Task": "Normal vs pneumonia",
        "Trained → tested on": "original → recovered (U-Net)",
        "Accuracy [95 %]": "0.8123 [0.781, 0.841]",
        "Report": "0.8670",
        "AUC [95 %]": "0.9512 [0.934, 0.966]",
        "Sensitivity": "0.991",
        "Specificity": "0.514",
        "Images": "624",
        "Seeds": "2",
        "Recipe": "report",
        "Blur": "\u03c3 2 px standard, noise 0, float32",
    }


def test_the_report_s_numbers_have_its_digits():
    cells = only_row(classification_table([classification_row(test_on="blurred")]))
    assert cells["Report"] == "0.74"


def test_originals_carry_no_blur():
    assert only_row(classification_table([classification_row()]))["Blur"] == "none"


def test_restoration_row():
    noisy = restoration_row(noise=0.01, input_precision="8bit")
    assert "Report's MSE" not in restoration_table([noisy]).columns  # which has none of it
    table = restoration_table([noisy, restoration_row()])
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["Method"] == "U-Net"
    assert cells["Blur"] == "\u03c3 2 px standard, noise 0.01, 8bit, reflect boundary, radius 8"
    assert (cells["MSE"], cells["Report's MSE"]) == ("1.500e-04", "\u2013")
    assert (cells["PSNR (dB)"], cells["SSIM"], cells["Images"]) == ("38.31", "0.9712", "624")


def test_what_does_not_exist_is_a_dash():
    row = restoration_row(method="none", recipe="none", psf="disk", sigma=None, psnr=None, mse=0.0)
    cells = only_row(restoration_table([row]))
    assert (cells["Recipe"], cells["PSNR (dB)"]) == ("\u2013", "\u2013")
    assert cells["Blur"] == "noise 0, float32, reflect boundary, radius 8"


def test_errors_of_a_blur_are_one_row():
    rows = [
        restoration_row(sigma=sigma, method=method, mse=mse)
        for sigma, method, mse in (
            (1.0, "none", 1e-3), (1.0, "unet", 2e-4), (1.5, "none", 3e-3), (1.5, "unet", 4e-4),
        )
    ]  # fmt: skip
    table = error_table(rows)
    assert table.columns == ("Blur", "not restored", "U-Net", "Report's U-Net")
    first, second = table.rows
    assert first[1:] == ("1.000e-03", "2.000e-04", "2.447e-05")
    assert second[1:] == ("3.000e-03", "4.000e-04", "\u2013")
    assert first[0] != second[0]


def test_small_p_values_and_missing_bounds():
    assert [p_value(p) for p in (0.0009, 0.001, 0.0049)] == ["< 0.001", "0.001", "0.005"]
    assert to_hundredths(2.408, (None, 3.05)) == "2.41 [\u2013, 3.05]"
    assert to_hundredths(None, (None, None)) == "\u2013"


def test_paired_rows():
    first, second = paired_table(fake_results()["paired"]).rows
    assert first[-5:] == ("0", "624", "51", "12", "< 0.001")
    assert second[-5:] == ("all", "624", "21", "19", "0.875")


def test_markdown():
    table = Table(("a|b", "n"), [("x\ny|z", "1")], words=("a|b",))
    assert to_markdown(table) == "| a\\|b | n |\n| --- | ---: |\n| x y\\|z | 1 |\n"
