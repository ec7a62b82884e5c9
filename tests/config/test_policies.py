"""`[[policy]]` tables: what they say, and how each mistake is named."""

from pathlib import Path

import pytest

from ossfs.config.policies import Rule
from ossfs.config.server_side import AskedOfServer
from tests.config.test_resolve import refusal, resolve

FILE = "/etc/ossfs/config.toml"


def rules(toml: str) -> tuple[Rule, ...]:
    return resolve(toml=toml).policies


def test_a_table_says_what_it_says_and_leaves_the_rest_to_the_mount() -> None:
    found = rules(
        """
        [[policy]]
        glob = "letters"
        encrypt = "rsa"
        key = "team-2025"
        sse = "KMS:alias/letters"

        [[policy]]
        glob = "public/**"
        encrypt = "none"

        [[policy]]
        glob = "*.log"
        sse = "none"
        """
    )
    assert [rule.glob.text for rule in found] == ["letters", "public/**", "*.log"]
    assert [rule.encrypt for rule in found] == ["rsa", "none", ""]
    assert [rule.key for rule in found] == ["team-2025", "", ""]
    assert [rule.sets_server for rule in found] == [True, False, True]
    assert found[0].server == AskedOfServer(algorithm="KMS", key_id="alias/letters")
    assert found[1].server is None
    assert found[2].server is None


def test_rules_of_the_bucket_come_after_those_for_every_bucket() -> None:
    toml = """
        policy = [{ glob = "a", sse = "AES256" }]
        [[bucket.photos.policy]]
        glob = "b"
        sse = "KMS"
        [[bucket.other.policy]]
        glob = "c"
        sse = "KMS"
        """
    assert [rule.glob.text for rule in rules(toml)] == ["a", "b"]
    assert rules("") == resolve().policies == ()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", "glob is missing"),
        ("glob = 'a'", "(a): says nothing; give encrypt, key or sse"),
        ("glob = 'a/'\nsse = 'KMS'", "(a/): glob: 'a/' ends with a slash"),
        ("glob = 'a//b'\nsse = 'KMS'", "glob: 'a//b' matches nothing"),
        ("glob = 'a'\nencrypt = 'RSA'", "encrypt: 'RSA' is not one of rsa, kms, aes, none"),
        ("glob = 'a'\nencrypt = ''", "encrypt: must be a text"),
        ("glob = 'a'\nsse = 'aes256'", "sse: 'aes256' is not one of none, AES256, KMS, KMS:"),
        ("glob = 'a'\nsse = 'AES256:k'", "sse: 'AES256:k' is not one of"),
        ("glob = 'a'\nsse = 'KMS:a b'", "'a b' is not the id, ARN or alias of a KMS key"),
        ("glob = 'a'\nsse = true", "sse: must be a text"),
        ("glob = ['a']\nsse = 'KMS'", "glob: must be a text"),
        ("glob = 'a'\nencrypt = 'none'\nkey = 'k'", '(a): encrypt = "none" takes no key'),
        ("glob = 'a'\nencryp = 'none'", "unknown key encryp; did you mean encrypt?"),
    ],
)
def test_each_mistake_is_named_in_one_line(table: str, says: str) -> None:
    text = refusal(toml=f"[[policy]]\n{table}")
    assert text.startswith(f"{FILE}: [[policy]] number 1")
    assert says in text
    inner = refusal(toml=f"[[bucket.other.policy]]\n{table}")
    assert inner.startswith(f"{FILE}: [bucket.other] [[policy]] number 1")


@pytest.mark.parametrize("toml", ["policy = 'a'", "policy = ['a']", "[policy]\nglob = 'a'"])
def test_anything_but_tables_is_refused(toml: str) -> None:
    assert "policy must be tables of the form [[policy]]" in refusal(toml=toml)


def test_no_rule_lets_files_be_written_that_could_not_be_read() -> None:
    toml = "[[policy]]\nglob = 'public'\nencrypt = 'none'"
    text = refusal(
        ("integrity", "require"), needed=(("region", "x"), ("rsa-key", "k.pem")), toml=toml
    )
    assert "(public): --integrity require refuses" in text


def test_rules_do_not_take_the_place_of_a_default() -> None:
    toml = "[[policy]]\nglob = '**'\nencrypt = 'none'"
    assert "no key is given" in refusal(needed=(("region", "x"),), toml=toml)


def test_a_rule_is_shown_by_file_and_pattern() -> None:
    (rule,) = rules("[[policy]]\nglob = 'a'\nsse = 'KMS'")
    assert rule.label == f"{Path(FILE)}: [[policy]] number 1 (a)"
