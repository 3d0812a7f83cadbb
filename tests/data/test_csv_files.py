"""Image sets listed in a CSV file."""

import pytest

from jxr.data import Record, csv_set
from jxr.errors import UserError

HEADER = "path,label,patient,split\n"
LINES = "b.png,sick,p1,train\na.png,well,p2,val\nsub/c.png,sick,,test\n"


@pytest.fixture
def table(build, tmp_path):
    root = build(("b.png", "a.png", "sub/c.png"))

    def write(text=HEADER + LINES, **options):
        (root / "list.csv").write_text(text, **options)
        return root / "list.csv"

    return write


def test_a_line_is_a_record(table):
    images = csv_set(table())
    assert images.records == (
        Record("a.png", "well", "p2", "validation"),
        Record("b.png", "sick", "p1", "train"),
        Record("sub/c.png", "sick", "sub/c.png", "test"),
    )
    assert images.read(0).shape == (21, 29, 1)
    assert images.read(2).shape == (22, 28, 1)
    assert "The patients are not known" in images.notes[0]


def test_all_patients_named_need_no_note(table):
    assert csv_set(table(HEADER + LINES.replace("sick,,", "sick,p3,"))).notes == ()


def test_columns_may_stand_in_any_order_beside_others(table):
    text = "age,split,label,path,patient\n5,train,sick,b.png,p1\n"
    assert csv_set(table(text)).records == (Record("b.png", "sick", "p1", "train"),)


def test_spaces_behind_commas_are_no_part_of_a_value(table):
    text = 'path, label, patient, split\nb.png, sick, "Smith, Ann", train\n'
    assert csv_set(table(text)).records == (Record("b.png", "sick", "Smith, Ann", "train"),)


def test_excel_s_byte_order_mark_is_no_part_of_the_header(table):
    assert len(csv_set(table(encoding="utf-8-sig")).records) == 3


def test_the_fingerprint_follows_what_is_said_of_the_images(table):
    first = csv_set(table()).fingerprint
    assert csv_set(table(HEADER + "\n".join(reversed(LINES.split())) + "\n")).fingerprint == first
    for old, new in (("p1", "p9"), ("a.png,well", "a.png,sick"), ("val", "train")):
        assert csv_set(table(HEADER + LINES.replace(old, new))).fingerprint != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,split\nb.png,x,train\n", "no column patient"),
        ("", "no column label, path, patient, split"),
        (HEADER + "b.png,,p,train\n", "line 2: no label"),
        (HEADER + "b.png,x,p\n", "line 2: no split"),
        (HEADER + "b.png,x,p,holdout\n", "line 2: split 'holdout'; give train, val or test"),
        (HEADER + "b.png,x,p,train\nb.png,x,p,test\n", "line 3: b.png is listed twice"),
        (HEADER + "sub/../b.png,x,p,train\nb.png,x,p,test\n", "line 3: b.png is listed twice"),
        (HEADER + "b.png,x,Smith, Ann,train\n", "line 2: more values than columns; quote"),
        (HEADER.replace("\n", ",split\n"), "column split twice; rename or remove one"),
        (HEADER.replace(",", ";"), "no column .* with commas between them"),
        (HEADER + "nowhere.png,x,p,train\n", "nowhere.png: no such file"),
        (HEADER + "b\0.png,x,p,train\n", r"b\x00.png: cannot be read \(embedded null"),
        (HEADER + "b.png,x,nan,train\n", "line 2: patient 'nan'; leave it empty if not known"),
        (HEADER + "b.png,x,NA,train\n", "line 2: patient 'NA'; leave it empty if not known"),
    ],
)
def test_mistakes_are_named_with_their_line(table, text, message):
    with pytest.raises(UserError, match=message):
        csv_set(table(text))


def test_a_file_that_is_no_text_is_refused(table):
    file = table()
    for content in (b"\xff\xfe\x00\x81", "path,label,patient,split,Größe\n".encode("latin-1")):
        file.write_bytes(content)
        with pytest.raises(UserError, match="not in UTF-8; save it as CSV UTF-8"):
            csv_set(file)
    with pytest.raises(UserError, match="cannot be read as a CSV file"):
        csv_set(file.with_name("nothing.csv"))
