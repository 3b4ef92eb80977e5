import subprocess
import sys
import zipfile

import pytest

import unpack_file


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as handle:
        handle.writestr("a/data/x.txt", "content")
        handle.writestr("a/one/twice.txt", "1")
        handle.writestr("a/two/twice.txt", "2")
    return path


def run(wheel, member):
    output = wheel.parent / "out.txt"
    code = unpack_file.main(["--wheel", str(wheel), "--member", member, "--output", str(output)])
    assert output.exists() == (code == 0)
    return code


def test_member_is_found_by_name(wheel):
    assert run(wheel, "x.txt") == 0
    assert (wheel.parent / "out.txt").read_text() == "content"


@pytest.mark.parametrize(("member", "count"), [("none.txt", 0), ("twice.txt", 2)])
def test_name_must_be_unique(wheel, capsys, member, count):
    assert run(wheel, member) == 1
    assert f"holds {count} files" in capsys.readouterr().err


def test_damaged_wheel_is_named(wheel, capsys):
    wheel.write_bytes(wheel.read_bytes()[:50])
    assert run(wheel, "x.txt") == 1
    assert "damaged" in capsys.readouterr().err


def test_damaged_member_leaves_nothing(wheel, capsys):
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as handle:
        handle.writestr("a/x.txt", "content " * 1000)
    data = bytearray(wheel.read_bytes())
    data[40:60] = b"\xff" * 20
    wheel.write_bytes(data)
    assert run(wheel, "x.txt") == 1
    assert "damaged" in capsys.readouterr().err


def test_runs_as_a_program(repository):
    script = repository / "scripts" / "unpack_file.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--member" in done.stdout


@pytest.mark.parametrize(("place", "value"), [(8, 99), (6, 0x20), (6, 0x01)])
def test_wheel_with_what_zip_cannot_read_is_named(tmp_path, capsys, place, value):
    # An unknown method, patched data, a password: flags and method stand in both headers.
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/x.fa", ">x\nA\n")
    content = bytearray(path.read_bytes())
    content[place] = content[content.index(b"PK\x01\x02") + place + 2] = value
    path.write_bytes(bytes(content))
    output = tmp_path / "x.fa"
    arguments = ["--wheel", str(path), "--member", "x.fa", "--output", str(output)]
    assert unpack_file.main(arguments) == 1 and not output.exists()
    assert "x.whl is not a wheel, or is damaged" in capsys.readouterr().err
