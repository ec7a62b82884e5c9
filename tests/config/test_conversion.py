"""What --to may say."""

import pytest

from ossfs.config.conversion import Wanted, parse_wanted
from ossfs.config.server_side import AskedOfServer
from ossfs.errors import UsageError

KMS = AskedOfServer(algorithm="KMS", key_id="9468da86-3509")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("policy", Wanted(by_policy=True)),
        ("encrypt=rsa", Wanted(encrypt="rsa")),
        ("encrypt=none", Wanted(encrypt="none")),
        ("key=team-2025", Wanted(key="team-2025")),
        ("encrypt=kms,key=alias/photos", Wanted(encrypt="kms", key="alias/photos")),
        ("sse=none", Wanted(changes_sse=True)),
        ("sse=AES256", Wanted(changes_sse=True, sse=AskedOfServer(algorithm="AES256"))),
        ("sse=KMS", Wanted(changes_sse=True, sse=AskedOfServer(algorithm="KMS"))),
        ("sse=KMS:9468da86-3509,encrypt=aes", Wanted(encrypt="aes", changes_sse=True, sse=KMS)),
    ],
)
def test_each_part_says_what_changes_and_the_rest_stays(text: str, wanted: Wanted) -> None:
    assert parse_wanted(text) == wanted
    assert wanted.changes_client == bool(wanted.encrypt or wanted.key)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "unknown part ''"),
        ("rsa", "unknown part 'rsa'"),
        ("encript=rsa", "unknown part 'encript'; did you mean encrypt?"),
        ("encrypt", "encrypt needs a value"),
        ("encrypt=", "encrypt needs a value"),
        ("encrypt=des", "'des' is not one of rsa, kms, aes, none"),
        ("encrypt=none,key=a", "encrypt=none takes no key"),
        ("sse=KMS:", "sse: "),
        ("sse=AES256:k", "sse: "),
        ("sse=AES256,sse=KMS", "sse stands there twice"),
        ("policy,sse=KMS", "unknown part 'policy'"),
    ],
)
def test_a_mistake_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError, match="--to") as refused:
        parse_wanted(text)
    assert says in str(refused.value)
