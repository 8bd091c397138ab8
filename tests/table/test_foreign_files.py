import os

import pytest

from afanalysis.errors import InputError
from afanalysis.table.database import files_within, regular_file


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", r"cannot be read \(No such file or directory\)"),
        ("folder", "is a folder; name a file"),
        ("pipe", "is a device or pipe; name a file"),
        ("/dev/zero", "is a device or pipe; name a file"),
        ("loop", r"cannot be read \(Too many levels of symbolic links\)"),
        ("large", "holds 11 bytes; a file of this kind has at most 10"),
        ("a\x00b", "cannot be read"),
        ("x" * 300, r"cannot be read \(File name too long\)"),
    ],
)
def test_only_regular_files_of_some_size_are_read(tmp_path, name, sentence):
    """S5: no pipes, no devices."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(InputError, match=sentence):
        regular_file(tmp_path / name, 10)


def test_a_link_that_is_named_is_followed_and_one_out_of_a_folder_is_not(tmp_path):
    """S5: no links out of a folder."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    for name in ("a.parquet", "below/b.parquet", "c.csv"):
        (folder / name).write_text("")
    (folder / "inside.parquet").symlink_to("a.parquet")
    (tmp_path / "named").symlink_to(folder / "a.parquet")
    assert regular_file(tmp_path / "named") == tmp_path / "named"
    names = [file.relative_to(folder).as_posix() for file in files_within(folder, (".parquet",))]
    assert names == ["a.parquet", "below/b.parquet", "c.csv", "inside.parquet"]
    (tmp_path / "secret").write_text("")
    (folder / "below" / "out.parquet").symlink_to(tmp_path / "secret")
    with pytest.raises(
        InputError, match=r"out\.parquet: is a link out of .*folder; name what it leads to"
    ):
        files_within(folder, (".parquet",))


def test_a_pipe_in_a_folder_does_not_hang(tmp_path):
    """S5: folders."""
    os.mkfifo(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="is a device or pipe"):
        files_within(tmp_path, (".parquet",))
