"""Hypothesis strategies for values of the object format, and for hostile headers."""

from hypothesis import strategies as st

from ossfs.format.attributes import Attributes
from ossfs.format.envelope import Envelope
from ossfs.format.fields import print_base64

TEXT = st.text(st.sampled_from('aZ09 %+-./:"{}[],\\\0\n\x7fé文😀\ud800'), max_size=30)
"""Short texts of characters that mean something to parsers; all of Unicode is slow to draw from."""

NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name)
XATTRS = st.dictionaries(NAMES, st.binary(max_size=40), max_size=4)
OWNERS = st.integers(0, (1 << 32) - 2)
TIMES = st.integers(-(10**19), 10**20 - 1)
MODES = st.builds(lambda kind, bits: kind | bits, st.just(0o100000), st.integers(0, 0o7777))
CRCS = st.integers(0, (1 << 64) - 1)

ATTRIBUTES = st.builds(
    Attributes,
    mode=st.one_of(MODES, st.just(0o120777)),
    uid=OWNERS,
    gid=OWNERS,
    atime_ns=TIMES,
    mtime_ns=TIMES,
    ctime_ns=TIMES,
    xattrs=XATTRS,
)

ENVELOPES = st.builds(
    Envelope,
    wrapped_key=st.binary(min_size=1, max_size=600),
    wrapped_start=st.binary(min_size=1, max_size=600),
    wrap_alg=st.sampled_from(["RSA/NONE/PKCS1Padding", "KMS/ALICLOUD"]),
    matdesc=st.dictionaries(TEXT, TEXT, max_size=3),
)

FIELD_NAMES = (
    *("mode", "uid", "gid", "atime", "mtime", "ctime", "xattr", "oss-crypto-key"),
    *("oss-crypto-start", "oss-cek-alg", "oss-wrap-alg", "oss-matdesc", "oss-crypto-matdesc"),
    "unencrypted-content-length",
    *(f"ossfs-{name}" for name in ("format", "chunk", "tagsum", "head", "tags", "sidecar")),
    *(
        f"client-side-encryption-{name}"
        for name in (
            *("key", "start", "cek-alg", "wrap-alg", "matdesc"),
            *("data-size", "part-size", "unencrypted-content-length"),
        )
    ),
)

HOSTILE_TEXT = st.one_of(
    TEXT,
    st.binary(max_size=70).map(print_base64),
    st.integers().map(str),
    st.sampled_from(
        [
            *("", "1", "2", "65536", "131072", "{}", "[]", "null", "%ff", "%22", "[" * 5000),
            *('{"a":' * 3000, '{"a":1}', '{"a":"b"}', "AES/CTR/NoPadding", "RSA/NONE/PKCS1Padding"),
            *("AES/GCM/NoPadding", "rsa", "kms", "YQ=="),
            *("33188", "41471", "4480", "1.5", "1e9", "٣", "9" * 5000, "-1", "0x10", "1_0", " 1"),
            *(".ossfs/tags/" + "a" * 40, "%7B%22user.a%22%3A%22YQ%3D%3D%22%7D", "\ud800", "NaN"),
        ]
    ),
)

HOSTILE_METADATA = st.dictionaries(st.sampled_from(FIELD_NAMES), HOSTILE_TEXT)
