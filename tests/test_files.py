"""Atomic writes: the old file or the new one, never half of one, and nothing left beside it."""

import errno
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeseg.errors import DataError, OutputError
from edgeseg.files import (
    check_apart,
    check_writable,
    digest,
    ensure_folder,
    file_digest,
    json_text,
    read_json,
    read_text,
    replacing,
    write_bytes,
    write_json,
    write_text,
)

needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"one")
    write_bytes(tmp_path / "a.bin", b"two")
    assert (tmp_path / "a.bin").read_bytes() == b"two"
    assert names(tmp_path) == ["a.bin"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "x" / "y" / "z.txt", "grün")
    assert (tmp_path / "x" / "y" / "z.txt").read_bytes() == "grün".encode()


def test_a_relative_name_is_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_text("here.txt", "x")
    assert names(tmp_path) == ["here.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, MemoryError])
def test_when_the_block_raises_the_old_file_stays(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "new" / "model.tflite"
    write_bytes(tmp_path / "old.tflite", b"old")
    for path in (target, tmp_path / "old.tflite"):
        with pytest.raises(error), replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise error
    assert names(tmp_path) == ["old.tflite"]
    assert (tmp_path / "old.tflite").read_bytes() == b"old"


def test_the_temporary_file_is_beside_its_target_and_keeps_the_suffix(tmp_path: Path) -> None:
    with replacing(tmp_path / "video.mp4") as temporary:
        assert temporary.parent == tmp_path.resolve()
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*r\.json: No space left on device"),
        replacing(tmp_path / "out" / "r.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_full_disk_that_shows_on_flushing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "r.json").write_text("old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="No space left"):
        write_text(tmp_path / "r.json", "new")
    assert (tmp_path / "r.json").read_text() == "old"
    assert names(tmp_path) == ["r.json"]


def test_trouble_with_another_file_is_not_blamed_on_this_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "copy.png") as temporary:
        temporary.write_bytes((tmp_path / "absent.png").read_bytes())
    assert names(tmp_path) == []


def test_a_writer_that_writes_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError), replacing(tmp_path / "video.mp4") as temporary:
        temporary.unlink()
    assert names(tmp_path) == []


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        write_text(tmp_path, "x")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*: (Not a directory|File exists)"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(OutputError, match="cannot write to"):
        ensure_folder(tmp_path / "file")


def test_what_could_be_written_is_known_before_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "a.txt", tmp_path / "new" / "deeper" / "a.txt", tmp_path / "file"):
        check_writable(path)
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: .*file is no folder"):
        check_writable(tmp_path / "file" / "a.txt")
    with pytest.raises(OutputError, match="/dev/null is no folder"):
        check_writable("/dev/null")
    assert names(tmp_path) == ["file"]


def test_what_is_no_ordinary_file_is_refused_and_survives(tmp_path: Path) -> None:
    """A pipe stands for /dev/null: where the guard is broken, a test must not take the machine's own away."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="pipe: it is no ordinary file"):
        write_text(pipe, "x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@needs_permissions
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    for path in (tmp_path / "locked" / "a.txt", tmp_path / "locked" / "deeper" / "a.txt"):
        with pytest.raises(OutputError, match="Permission denied; choose a folder you may write to"):
            write_text(path, "x")
    with pytest.raises(OutputError, match="Permission denied"):
        ensure_folder(tmp_path / "locked")
    with pytest.raises(OutputError, match="Permission denied in"):
        check_writable(tmp_path / "locked" / "deeper" / "a.txt")


def test_who_may_not_write_a_folder_and_enter_it_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's answers to a user who may do one of both: to the superuser it never says no."""
    for allowed in (os.W_OK, os.X_OK):
        monkeypatch.setattr(os, "access", lambda _, asked, allowed=allowed: asked & allowed == asked)
        with pytest.raises(OutputError, match="Permission denied in"):
            check_writable(tmp_path / "a.txt")


def test_a_folder_that_takes_no_files_is_told() -> None:
    with pytest.raises(OutputError, match=r"cannot write /proc/edgeseg/a\.txt"):
        write_text("/proc/edgeseg/a.txt", "x")
    with pytest.raises(OutputError, match="cannot write to /proc"):
        ensure_folder("/proc")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_permissions_are_those_of_any_new_file_and_stay(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "new", "x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o600)
    write_text(tmp_path / "new", "y")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 251 + ".txt"), "x")
    assert len(names(tmp_path)) == 1


def test_a_process_that_ctrl_c_ends_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"old")
    code = (
        "import sys, time; from edgeseg.files import replacing\n"
        "with replacing(sys.argv[1]) as t:\n"
        "    t.write_bytes(b'half'); print('started', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "m.bin"], stdout=-1, stderr=-1) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert (tmp_path / "m.bin").read_bytes() == b"old"
    assert names(tmp_path) == ["m.bin"]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    target, size = tmp_path / "a", 1 << 20
    write_bytes(target, b"a" * size)
    code = (
        "import sys; from edgeseg.files import write_bytes\n"
        f"for i in range(30): write_bytes(sys.argv[1], b'ab'[i % 2 :][:1] * {size})"
    )
    seen = 0
    with subprocess.Popen([sys.executable, "-c", code, target]) as writer:
        deadline = time.monotonic() + 30
        while writer.poll() is None and time.monotonic() < deadline:
            data = target.read_bytes()
            assert data in (b"a" * size, b"b" * size)
            seen += 1
    assert seen


def test_json_has_no_nan(tmp_path: Path) -> None:
    value = {"a": [1.5, float("nan")], "b": (float("inf"), "x"), "c": None}
    write_json(tmp_path / "r.json", value)
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text) == {"a": [1.5, None], "b": [None, "x"], "c": None}
    assert text == json_text(value)


def test_digests(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000  # more than one block
    (tmp_path / "f").write_bytes(data)
    assert digest(data) == digest(memoryview(data)) == file_digest(tmp_path / "f") == hashlib.sha256(data).hexdigest()
    with pytest.raises(DataError, match=r"cannot read .*absent: No such file"):
        file_digest(tmp_path / "absent")


def test_where_the_file_cannot_be_made_its_folders_do_not_stay(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        with pytest.raises(OutputError, match="Too many open files"):
            write_text(tmp_path / "new" / "deeper" / "a.txt", "x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert names(tmp_path) == []


def test_the_content_and_the_new_name_reach_the_disk_and_no_file_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_ino))
    before = len(os.listdir("/proc/self/fd"))
    write_text(tmp_path / "a.txt", "x")
    assert flushed == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]
    assert len(os.listdir("/proc/self/fd")) == before


def test_json_is_indented_by_two_and_ends_its_line() -> None:
    assert json_text({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}\n'


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "x" / "y"
    assert ensure_folder(folder) == ensure_folder(str(folder)) == folder
    assert names(folder) == []


def test_reading_says_what_could_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    with pytest.raises(DataError, match=r"cannot read class names .*labels\.json: No such file"):
        read_text(file, "class names")
    file.write_bytes(b"gr\xfcn")
    with pytest.raises(DataError, match="it is not text in UTF-8"):
        read_text(file, "class names")
    for content in ("{", "[" * 100_000):
        file.write_text(content)
        with pytest.raises(DataError, match=r"class names .*labels\.json is not JSON"):
            read_json(file, "class names")
    file.write_text('{"names": ["grün"]}', encoding="utf-8")
    assert read_json(file, "class names") == {"names": ["grün"]}
    assert read_text(file, "class names") == '{"names": ["grün"]}'


def test_outputs_are_apart_from_inputs_and_from_each_other(tmp_path: Path) -> None:
    source, folder = tmp_path / "film.avi", tmp_path / "folder"
    source.write_bytes(b"film")
    folder.mkdir()
    (tmp_path / "link.avi").symlink_to(source)
    (tmp_path / "twin.avi").hardlink_to(source)
    inputs = [("the source", source), ("the folder", folder), ("what is not there", tmp_path / "absent")]
    for name in ("film.avi", "folder/../film.avi", "link.avi", "twin.avi"):
        with pytest.raises(OutputError, match=r"cannot write the recording to .*: that is the source; choose another"):
            check_apart([("the recording", tmp_path / name)], inputs)
    with pytest.raises(OutputError, match="that is the folder"):
        check_apart([("masks", folder)], inputs)
    with pytest.raises(OutputError, match="that is what is not there"):
        check_apart([("figures", tmp_path / "absent")], inputs)
    with pytest.raises(OutputError, match=r"cannot write figures to .*: that is where events goes too"):
        check_apart([("events", tmp_path / "new.json"), ("figures", tmp_path / "new.json")])
    check_apart([("events", tmp_path / "a"), ("figures", tmp_path / "b"), ("masks", tmp_path / "c")], inputs)
    check_apart([("events", Path("/dev/null")), ("figures", Path("/dev/null"))], [("the source", Path("/dev/null"))])
