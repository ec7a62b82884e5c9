"""New pairs work here and elsewhere, and never replace an old one."""

import stat
from pathlib import Path

import pytest
from Crypto.PublicKey import RSA as OTHER_RSA

from ossfs.errors import KeyProblem
from ossfs.keys.keygen import generate
from ossfs.keys.rsa import load


async def test_a_new_pair_wraps_and_unwraps(tmp_path: Path) -> None:
    pair = generate(tmp_path / "team")
    assert (pair.private.name, pair.public.name) == ("team.pem", "team.pub.pem")
    private, public = load(pair.private), load(pair.public)
    assert await private.unwrap(await public.wrap(b"secret"), public.wrap_alg) == b"secret"
    assert private.wrapped_limit == 3072 // 8


def test_the_private_part_is_for_its_owner_alone(tmp_path: Path) -> None:
    pair = generate(tmp_path / "team.pem", bits=2048)
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert pair.private.name == "team.pem"


def test_a_passphrase_protects_it_and_other_programs_know_the_form(tmp_path: Path) -> None:
    pair = generate(tmp_path / "team", bits=2048, passphrase=b"open sesame")
    with pytest.raises(KeyProblem):
        load(pair.private)
    assert load(pair.private, passphrase=b"open sesame").can_unwrap
    assert OTHER_RSA.import_key(pair.private.read_bytes(), "open sesame").has_private()
    assert not OTHER_RSA.import_key(pair.public.read_bytes()).has_private()


@pytest.mark.parametrize("present", ["team.pem", "team.pub.pem"])
def test_an_existing_file_is_never_touched(tmp_path: Path, present: str) -> None:
    (tmp_path / present).write_text("precious")
    with pytest.raises(KeyProblem, match="exists already"):
        generate(tmp_path / "team", bits=2048)
    assert [file.name for file in tmp_path.iterdir()] == [present]
    assert (tmp_path / present).read_text() == "precious"


@pytest.mark.parametrize("bits", [0, 1024, 2047, 2049, 4104, 8192])
def test_an_unfit_size_is_refused(tmp_path: Path, bits: int) -> None:
    with pytest.raises(KeyProblem, match="2048 to 4096"):
        generate(tmp_path / "team", bits=bits)


def test_a_directory_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="cannot be written"):
        generate(tmp_path / "none" / "team", bits=2048)
