"""The archive: the same images as from the folder, and one line for all that can be wrong."""

import hashlib
import http.server
import logging
import re
import shutil
import stat
import struct
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jxr.data import index_folder
from jxr.data.archive import FILE_NAME, MAX_IMAGE_BYTES, SHA256, fetch_archive, open_source
from jxr.errors import UserError

STYLES = (
    "train/NORMAL/IM-0115-0001.jpeg",
    "train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg",
    "train/NORMAL/NORMAL-1003233-0001.jpeg",
    "train/PNEUMONIA/person1_bacteria_1.jpeg",
    "train/PNEUMONIA/BACTERIA-1008087-0002.png",
    "val/PNEUMONIA/person1946_bacteria_4874.jpeg",
    "test/NORMAL/IM-0001-0001.jpeg",
    "test/PNEUMONIA/person1_virus_6.jpeg",
    "test/PNEUMONIA/VIRUS-8698006-0001.jpeg",
)


def pack(folder: Path, file: Path, *, prefix: str = "", extra: dict[str, bytes] | None = None):
    """Writes a folder into a zip archive, with more entries if given."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{prefix}{path.relative_to(folder).as_posix()}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return file


@pytest.fixture
def root(build) -> Path:
    return build(STYLES)


@pytest.mark.parametrize("prefix", ["", "chest_xray/", "chest_xray/chest_xray/"])
def test_an_archive_holds_what_the_folder_holds(root, tmp_path, prefix):
    source = open_source(pack(root, tmp_path / "images.zip", prefix=prefix))
    folder = open_source(root)
    assert folder.records == index_folder(root)
    assert [(r.label, r.patient, r.split) for r in folder.records] == [
        ("normal", "IM-0001", "test"),
        ("virus", "8698006", "test"),
        ("virus", "person1", "test"),
        ("normal", "IM-0115", "train"),
        ("normal", "1003233", "train"),
        ("normal", "NORMAL2-IM-0115", "train"),
        ("bacteria", "1008087", "train"),
        ("bacteria", "person1", "train"),
        ("bacteria", "person1946", "train"),
    ]
    assert [r.path for r in source.records] == [f"{prefix}{r.path}" for r in folder.records]
    for ours, theirs in zip(source.records, folder.records, strict=True):
        assert (ours.label, ours.patient, ours.split) == (
            theirs.label,
            theirs.patient,
            theirs.split,
        )
        content = (root / theirs.path).read_bytes()
        assert source.read(ours.path) == content
        assert folder.read(theirs.path) == content


def test_junk_and_the_second_copy_are_ignored(root, tmp_path):
    twice = tmp_path / "twice"
    shutil.copytree(root, twice / "chest_xray")
    shutil.copytree(root, twice / "chest_xray" / "chest_xray")
    junk = {
        "__MACOSX/chest_xray/train/NORMAL/._IM-0115-0001.jpeg": b"junk",
        "chest_xray/__MACOSX/chest_xray/train/NORMAL/IM-0115-0009.jpeg": b"junk",
        "chest_xray/train/NORMAL/._IM-0115-0001.jpeg": b"junk",
        "chest_xray/train/NORMAL/.DS_Store": b"junk",
        "chest_xray/train/.DS_Store": b"junk",
        "chest_xray/train/PNEUMONIA/Thumbs.db": b"junk",
        "chest_xray/train/PNEUMONIA/notes.txt": b"junk",
        "README": b"junk",
    }
    source = open_source(pack(twice, tmp_path / "images.zip", extra=junk))
    assert [r.path for r in source.records] == [f"chest_xray/{r.path}" for r in index_folder(root)]


@pytest.mark.parametrize(
    "name",
    [
        "../IM-0001-0002.jpeg",
        "train/NORMAL/../../../IM-0001-0002.jpeg",
        "train/..",
        "/tmp/IM-0001-0002.jpeg",
        "C:/IM-0001-0002.jpeg",
        "C:IM-0001-0002.jpeg",
        "..\\IM-0001-0002.jpeg",
        "train\\NORMAL\\IM-0001-0002.jpeg",
        "__MACOSX/../../IM-0001-0002.jpeg",
    ],
)
def test_entries_that_escape_are_refused(root, tmp_path, name):
    file = pack(root, tmp_path / "images.zip", extra={name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=rf"images\.zip: the entry {re.escape(repr(name))} is a"):
        open_source(file)
    assert sorted(tmp_path.rglob("*")) == before


def test_suffixes_in_capitals_are_images_and_two_dots_in_a_name_lead_nowhere(root, tmp_path):
    capitals = "train/NORMAL/IM-0009-0001.JPEG"
    file = pack(root, tmp_path / "images.zip", extra={capitals: b"x", "train/read..me": b"x"})
    assert {record.path for record in open_source(file).records} == {capitals, *STYLES}


def test_a_link_is_refused(root, tmp_path):
    file = pack(root, tmp_path / "images.zip")
    link = zipfile.ZipInfo("train/NORMAL/IM-0009-0001.jpeg")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=r"IM-0009-0001\.jpeg' is a symbolic link"):
        open_source(file)


def test_a_bomb_is_refused(root, tmp_path):
    bomb = {"train/NORMAL/IM-0009-0001.jpeg": bytes(MAX_IMAGE_BYTES + 1)}
    file = pack(root, tmp_path / "images.zip", extra=bomb)
    assert file.stat().st_size < 1e6
    with pytest.raises(UserError, match=r"IM-0009-0001\.jpeg unpacks to 67 MB"):
        open_source(file)


def patch(file: Path, name: str, offset: int, form: str, value: int) -> None:
    """Overwrites a field of one entry in the central directory."""
    data = bytearray(file.read_bytes())
    place = -1
    while True:
        place = data.index(b"PK\x01\x02", place + 1)
        if data[place + 46 :].startswith(name.encode()):
            break
    struct.pack_into(form, data, place + offset, value)
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (24, "<I", 10),  # the size: less than what comes out
        (16, "<I", 12345),  # the checksum
        (8, "<H", 1),  # encrypted
        (10, "<H", 99),  # an unknown method
    ],
)
def test_an_entry_that_cannot_be_unpacked_is_named(root, tmp_path, offset, form, value):
    file = pack(root, tmp_path / "images.zip")
    patch(file, STYLES[0], offset, form, value)
    source = open_source(file)
    with pytest.raises(UserError, match=rf"images\.zip/{STYLES[0]}: cannot be unpacked") as error:
        source.read(STYLES[0])
    assert "\n" not in str(error.value)
    assert source.read(STYLES[1]) == (root / STYLES[1]).read_bytes()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_named(root, tmp_path):
    file = pack(root, tmp_path / "images.zip", extra={STYLES[0]: b"other"})
    with pytest.raises(UserError, match=rf"{STYLES[0]} is there twice"):
        open_source(file)


def test_a_name_of_several_lines_is_refused_in_one(root, tmp_path):
    file = pack(root, tmp_path / "images.zip", extra={"train/NORMAL/IM-0009\n-0001.jpeg": b""})
    with pytest.raises(
        UserError, match=r"the entry 'train/NORMAL/IM-0009\\n-0001\.jpeg' has a name"
    ):
        open_source(file)


def test_mistakes_in_an_archive_are_named_by_its_own_name(root, tmp_path):
    file = pack(root, tmp_path / "a.zip", extra={"train/NORMAL/scan.png": b""})
    with pytest.raises(UserError, match=rf"^{file}/train/NORMAL/scan\.png: unknown kind of name"):
        open_source(file)
    file = pack(root / "train", tmp_path / "b.zip")
    with pytest.raises(UserError, match=rf"^{file}: no train and test folders"):
        open_source(file)
    file = pack(root, tmp_path / "d.zip", extra={f"{STYLES[0]}/IM-0001-0002.png": b""})
    with pytest.raises(UserError, match=rf"^{file}: cannot be listed"):
        open_source(file)


def test_what_is_no_archive_is_named(root, tmp_path):
    with pytest.raises(UserError, match=r"none\.zip: no such file or folder; give ChestXRay2017"):
        open_source(tmp_path / "none.zip")
    (tmp_path / "text.tar").write_text("text")
    with pytest.raises(UserError, match=r"text\.tar: neither a folder nor a readable zip archive"):
        open_source(tmp_path / "text.tar")
    file = pack(root, tmp_path / "images.zip")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"images\.zip: neither a folder nor a readable zip"):
        open_source(file)


def test_reads_from_several_threads(root, tmp_path):
    source = open_source(pack(root, tmp_path / "images.zip"))
    names = [record.path for record in source.records] * 40
    with ThreadPoolExecutor(8) as pool:
        for name, content in zip(names, pool.map(source.read, names), strict=True):
            assert content == (root / name).read_bytes()


class Server:
    """A loopback web server; `content` is what it sends, `length` what it promises."""

    def __init__(self) -> None:
        self.content, self.length, self.status, self.asked = b"", None, 200, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(outer.length or len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *args: object) -> None:
                pass

        self.httpd = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/file_downloaded"


@pytest.fixture
def server(root, tmp_path, monkeypatch) -> Iterator[Server]:
    """Sends a small archive."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    server.content = pack(root, tmp_path / "small.zip").read_bytes()
    with server.httpd:
        thread = threading.Thread(target=server.httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.httpd.shutdown()
        thread.join()


def test_fetches_once_and_says_nothing_of_the_known_checksum(server, tmp_path, caplog):
    known = hashlib.sha256(server.content).hexdigest()
    for _ in range(2):
        path = fetch_archive(tmp_path / "cache", url=server.url, sha256=known)
        assert path == tmp_path / "cache" / FILE_NAME
        assert path.read_bytes() == server.content
    assert server.asked == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(open_source(path).records) == len(STYLES)


def test_another_checksum_is_warned_of_and_the_archive_kept(server, tmp_path, caplog):
    found = hashlib.sha256(server.content).hexdigest()
    for times in (1, 2):
        assert fetch_archive(tmp_path, url=server.url).read_bytes() == server.content
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == times
        assert found in warnings[-1]
        assert SHA256 in warnings[-1]
    assert server.asked == 1


def test_a_page_in_place_of_the_archive_is_not_kept(server, tmp_path):
    server.content = b"<html>down for maintenance</html>"
    with pytest.raises(UserError, match="no zip archive: try again later, or download ChestXRay"):
        fetch_archive(tmp_path / "cache", url=server.url)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("status", "length"), [(404, None), (200, 100_000)])
def test_a_failed_download_leaves_nothing(server, tmp_path, status, length):
    server.status, server.length = status, length
    with pytest.raises(UserError, match=r"cannot fetch .* download ChestXRay2017\.zip by hand"):
        fetch_archive(tmp_path / "cache", url=server.url)
    assert list((tmp_path / "cache").iterdir()) == []


def test_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match=r"cannot fetch .* by hand and give its path") as error:
        fetch_archive(tmp_path, url="http://127.0.0.1:9/file")  # nobody listens on port 9
    assert "\n" not in str(error.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot fetch .* into .*file \(FileExistsError\)"):
        fetch_archive(tmp_path / "file", url="http://127.0.0.1:9/file")
