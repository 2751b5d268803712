"""The master key and what is sealed with it."""

import base64
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.kernel.crypto import MasterKey, MasterKeyInvalid, SealBroken, Sealed

KEY = MasterKey(bytes(range(32)))
CONTEXT = "project/secret"


# --- the key file -----------------------------------------------------------------------------


def test_the_first_start_makes_the_file_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "master.key"
    old = os.umask(0)
    try:
        made = MasterKey.load(None, path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]
    assert MasterKey.load(None, path).id == made.id
    assert MasterKey.load("", path).id == made.id
    assert len(base64.b64decode(path.read_text(), validate=False)) == 32
    assert MasterKey.load(None, tmp_path / "other.key").id != made.id


def test_a_given_key_needs_no_file(tmp_path: Path) -> None:
    text = base64.b64encode(bytes(range(32))).decode()
    assert MasterKey.load(text, tmp_path / "master.key").id == KEY.id
    assert not list(tmp_path.iterdir())


def test_threads_that_start_together_agree(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def load(_: int) -> str:
        together.wait(10)
        return MasterKey.load(None, tmp_path / "master.key").id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(load, range(8)))) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from muster.kernel.crypto import MasterKey; "
        "print('ready', flush=True); sys.stdin.readline(); "
        "print(MasterKey.load(None, Path(sys.argv[1])).id)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "master.key")]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    ids = {process.communicate(timeout=30)[0] for process in processes}
    assert len(ids) == 1
    assert len(ids.pop()) == 17


def test_what_a_crash_left_behind_stops_no_start(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    left = tmp_path / f"master.key.{os.getpid()}"
    left.write_text("half a k")
    MasterKey.load(None, path)
    assert path.exists()


def test_both_alphabets_and_space_around() -> None:
    content = bytes([251, 239, 190] * 10 + [1, 2])
    standard, for_urls = base64.b64encode(content), base64.urlsafe_b64encode(content)
    assert standard != for_urls
    wanted = MasterKey(content).id
    for text in (standard, for_urls, b" " + standard + b"\n"):
        assert MasterKey.from_text(text.decode()).id == wanted


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x", "base64"),
        ("é" * 43, "base64"),
        ("AAAA!AAA", "base64"),
        ("AAAA", "32 bytes"),
        (base64.b64encode(bytes(31)).decode(), "32 bytes"),
        (base64.b64encode(bytes(33)).decode(), "32 bytes"),
    ],
)
def test_keys_that_are_none(text: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    for load in (lambda: MasterKey.from_text(text), lambda: MasterKey.load(None, path)):
        with pytest.raises(MasterKeyInvalid, match=part) as invalid:
            load()
        assert text not in str(invalid.value)


def test_a_file_of_other_bytes(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    for content in (b"", b"\n", bytes(range(128, 160))):
        path.write_bytes(content)
        with pytest.raises(MasterKeyInvalid):
            MasterKey.load(None, path)


# --- seals ------------------------------------------------------------------------------------


@given(value=st.text(st.characters(exclude_categories=["Cs"])), context=st.text("abc/:é"))
def test_what_is_sealed_opens_in_its_place_only(value: str, context: str) -> None:
    sealed = KEY.seal(value, context=context)
    assert sealed.key_id == KEY.id
    assert KEY.open(sealed, context=context) == value
    with pytest.raises(SealBroken):
        KEY.open(sealed, context=context + "x")


def test_the_same_value_never_looks_the_same() -> None:
    first, second = (KEY.seal("value", context=CONTEXT) for _ in range(2))
    assert first.ciphertext != second.ciphertext
    assert first.wrapped_key != second.wrapped_key
    assert b"value" not in first.ciphertext


def test_another_key_opens_nothing() -> None:
    sealed = KEY.seal("value", context=CONTEXT)
    other = MasterKey(bytes(32))
    assert other.id != KEY.id
    with pytest.raises(SealBroken, match="master key"):
        other.open(sealed, context=CONTEXT)


@given(place=st.integers(0, 59), bit=st.integers(0, 7), wrapped=st.booleans())
def test_a_changed_bit_is_noticed(place: int, bit: int, wrapped: bool) -> None:
    sealed = KEY.seal("a value of some length, as secrets are", context=CONTEXT)
    name = "wrapped_key" if wrapped else "ciphertext"
    content = bytearray(getattr(sealed, name))
    content[place] ^= 1 << bit
    with pytest.raises(SealBroken):
        KEY.open(replace(sealed, **{name: bytes(content)}), context=CONTEXT)


def test_parts_of_two_seals_do_not_fit() -> None:
    first, second = KEY.seal("one", context=CONTEXT), KEY.seal("two", context=CONTEXT)
    with pytest.raises(SealBroken):
        KEY.open(replace(first, ciphertext=second.ciphertext), context=CONTEXT)
    for cut in (b"", b"short", second.ciphertext[:-1]):
        with pytest.raises(SealBroken):
            KEY.open(Sealed(KEY.id, first.wrapped_key, cut), context=CONTEXT)


def test_keys_for_purposes_differ_and_stay() -> None:
    assert len({KEY.derive(purpose) for purpose in ("wrap", "jwt", "")}) == 3
    assert KEY.derive("jwt") == MasterKey(bytes(range(32))).derive("jwt")
    assert KEY.derive("jwt") != MasterKey(bytes(32)).derive("jwt")
    # HKDF-SHA-256 of these bytes: whoever changes it locks everybody out of their secrets.
    assert KEY.derive("wrap").hex() == (
        "a592afb69631c175b12dba3a20f6c6eea3dc6241e1a6bd792df230010e3ac779"
    )
    assert KEY.id == "caa158f06210ba65"
