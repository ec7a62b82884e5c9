"""Options from every source, resolved into sections."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossfs.config.address import parse_bucket_url
from ossfs.config.resolve import SECTIONS, TABLE, Written, resolve_mount, resolve_service
from ossfs.config.sections import MountConfig
from ossfs.errors import UsageError

URL = parse_bucket_url("oss://photos/summer")
NEEDED = (("region", "cn-hangzhou"), ("encrypt", "none"))


def written(
    *pairs: tuple[str, str], environ: Mapping[str, str] | None = None, toml: str | None = None
) -> Written:
    return Written(
        pairs=pairs,
        environ={"HOME": "/home/me", **(environ or {})},
        cwd=Path("/here"),
        uid=1000,
        toml=None if toml is None else (Path("/etc/ossfs/config.toml"), toml),
    )


def resolve(
    *pairs: tuple[str, str], environ: Mapping[str, str] | None = None, toml: str | None = None
) -> MountConfig:
    return resolve_mount(URL, Path("/mnt"), written(*NEEDED, *pairs, environ=environ, toml=toml))


def refusal(
    *pairs: tuple[str, str],
    needed: tuple[tuple[str, str], ...] = NEEDED,
    environ: Mapping[str, str] | None = None,
    toml: str | None = None,
) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_mount(URL, Path("/mnt"), written(*needed, *pairs, environ=environ, toml=toml))
    text = str(caught.value)
    assert "\n" not in text
    return text


places = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.integers(1, 64),
        "environment": st.integers(1, 64),
        "bucket": st.integers(1, 64),
        "file": st.integers(1, 64),
    },
)


@given(places)
def test_flags_win_over_environment_over_the_buckets_section_over_the_file(
    given_at: dict[str, int],
) -> None:
    toml = ""
    if "file" in given_at:
        toml += f"parallel = {given_at['file']}\n"
    if "bucket" in given_at:
        toml += f"[bucket.photos]\nparallel = {given_at['bucket']}\n"
    toml += "[bucket.other]\nparallel = 64\n"
    environ = {"OSSFS_PARALLEL": str(given_at.get("environment", ""))}
    pairs = [("parallel", str(given_at["flag"]))] if "flag" in given_at else []
    order = ("flag", "environment", "bucket", "file")
    expected = next((given_at[place] for place in order if place in given_at), 8)
    assert resolve(*pairs, environ=environ, toml=toml).transfer.parallel == expected


def test_every_option_belongs_to_a_field_of_its_section_and_has_help() -> None:
    for name, option in TABLE.items():
        assert option.name == name
        assert option.help
        assert option.field in {field.name for field in fields(option.section)}
        assert option.section in SECTIONS
        assert option.metavar or option.is_switch


def test_every_option_can_be_given_by_flag_environment_and_file() -> None:
    samples = {
        "endpoint": "https://oss-cn-beijing.aliyuncs.com",
        "region": "cn-beijing",
        "path-style": "on",
        "signature": "v1",
        "encrypt": "none",
        "kms-endpoint": "https://kst-1.cryptoservice.kms.aliyuncs.com",
        "kms-coding": "double",
        "kms-context": '{"x-passphrase": "7"}',
        "kms-signature": "rpc-v1",
        "rsa-padding": "oaep-sha1",
        "matdesc": '{"a": "b"}',
        "dialect": "current",
        "integrity": "off",
        "sse": "KMS",
        "tls-min": "1.3",
        "umask": "077",
        "open-check": "ttl",
        "conflict": "fail",
        "list-attrs": "fast",
        "status-xattrs": "hidden",
        "part-size": "1MiB",
        "memory": "64MiB",
        "read-ahead": "1MiB",
        "log-level": "debug",
        "log-format": "json",
    }
    needs = {"sse-kms-key-id": (("sse", "KMS"),)}
    for name, option in TABLE.items():
        text, more = samples.get(name) or ("on" if option.is_switch else "7"), needs.get(name, ())
        by_flag = resolve((name, text), *more)
        assert by_flag == resolve(*more, environ={option.variable: text}) or name in dict(NEEDED)
        relative_to_file = text.replace("7", "/here/7") if option.is_path else text
        by_file = resolve(*more, toml=f"{name} = '{relative_to_file}'")
        assert by_flag == by_file or name in dict(NEEDED)


def test_defaults_are_those_that_help_shows() -> None:
    config = resolve()
    assert config.where.endpoint == "https://oss-cn-hangzhou.aliyuncs.com"
    assert not config.where.uses_path_style
    assert config.where.url == "oss://photos/summer"
    assert (config.mount.attr_ttl, config.mount.negative_ttl) == (5.0, 5.0)
    assert config.transfer.memory == 128 * 1024 * 1024
    assert config.keys.integrity == "prefer"
    assert config.connection.tls_min == "1.2"
    assert config.mount.state_dir == Path("/home/me/.local/state/ossfs")
    assert TABLE["memory"].default == "128MiB"
    assert TABLE["attr-ttl"].default == "5"


def test_repeated_keys_gather_in_order_and_the_last_of_anything_else_counts() -> None:
    config = resolve(("rsa-key", "a.pem"), ("rsa-key", "/b.pem"), ("uid", "1"), ("uid", "2"))
    assert config.keys.rsa_keys == (Path("/here/a.pem"), Path("/b.pem"))
    assert config.mount.uid == 2
    assert resolve(environ={"OSSFS_RSA_KEY": "/a:/b"}).keys.rsa_keys == (Path("/a"), Path("/b"))
    assert resolve(toml="rsa-key = ['a', '/b']").keys.rsa_keys == (
        Path("/etc/ossfs/a"),
        Path("/b"),
    )


def test_a_key_alone_means_rsa() -> None:
    config = resolve_mount(
        URL, Path("/mnt"), written(("region", "cn-hangzhou"), ("rsa-key", "k.pem"))
    )
    assert config.keys.encrypt == "rsa"


def test_a_tilde_is_the_home_directory() -> None:
    assert resolve(("log-file", "~/log")).log.log_file == Path("/home/me/log")


def test_a_switch_that_the_file_turns_on_can_be_turned_off_again() -> None:
    toml = "read-only = true"
    assert resolve(toml=toml).mount.read_only
    assert not resolve(("read-only", "off"), toml=toml).mount.read_only


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("https://oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou"),
        ("https://oss-us-west-1.aliyuncs.com", "us-west-1"),
        ("https://oss-ap-southeast-1-internal.aliyuncs.com:443", "ap-southeast-1"),
    ],
)
def test_an_endpoint_of_alibaba_cloud_tells_its_region(endpoint: str, region: str) -> None:
    where, _ = resolve_service(URL, written(("endpoint", endpoint)))
    assert where.region == region
    assert where.endpoint.startswith("https://oss-")


@pytest.mark.parametrize(
    ("endpoint", "style", "expected"),
    [
        ("http://127.0.0.1:80", "auto", True),
        ("http://[::1]:80", "auto", True),
        ("http://localhost", "auto", True),
        ("https://10.0.0.1", "auto", True),
        ("https://oss.example.com", "auto", False),
        ("https://oss.example.com", "on", True),
        ("http://127.0.0.1", "off", False),
    ],
)
def test_the_bucket_stands_in_the_path_where_a_host_name_cannot_hold_it(
    endpoint: str, style: str, expected: bool
) -> None:
    where = resolve(("endpoint", endpoint), ("path-style", style)).where
    assert where.uses_path_style is expected


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (("memry", "1"), "unknown option memry; did you mean memory?"),
        (("acl", "private"), "unknown option acl"),
        (("sse", "aes256"), "--sse: 'aes256' is not one of none, AES256, KMS"),
        (("sse-kms-key-id", "x"), "--sse-kms-key-id: names a key for --sse KMS"),
        (("sse-kms-key-id", "two words"), "not the id, ARN or alias of a KMS key"),
        (("memory", "lots"), "--memory: 'lots' is not a size"),
        (("memory", "1k"), "--memory: '1k' is not from 16MiB to 1TiB"),
        (("part-size", "300KiB"), "--part-size: 307200 bytes is not a multiple of 256KiB"),
        (("part-size", "128MiB"), "--part-size: two parts must fit into --memory"),
        (("parallel", "0"), "--parallel: '0' is not a whole number from 1 to 64"),
        (("parallel", "٣"), "--parallel: '٣' is not a whole number from 1 to 64"),
        (("timeout", "nan"), "--timeout: 'nan' is not a number of seconds"),
        (("umask", "9"), "--umask: '9' is not an octal number"),
        (("encrypt", "pgp"), "--encrypt: 'pgp' is not one of rsa, kms, aes, none"),
        (("encrypt", "rsa"), "--encrypt rsa needs a key"),
        (("list-attrs", "quick"), "--list-attrs: 'quick' is not one of full, fast"),
        (("read-only", "perhaps"), "--read-only: 'perhaps' is neither on nor off"),
        (("matdesc", "{"), "--matdesc: '{' is not JSON"),
        (("matdesc", "[1]"), "--matdesc: '[1]' is not a JSON object"),
        (("matdesc", '{"a": 1}'), "not a JSON object whose values are all strings"),
        (("matdesc", '{"a": "\\ud800"}'), "holds what is no character of Unicode"),
        (("matdesc", '{"a": "' + "x" * 510 + '"}'), "--matdesc: takes 518 bytes as ASCII JSON"),
        (("matdesc", '{"a": "' + "\u00fc" * 90 + '"}'), "--matdesc: takes 548 bytes"),
        (("integrity", "require"), "--integrity require refuses what --encrypt none would write"),
        (("rsa-key", ""), "--rsa-key: needs a file name"),
        (("region", "oss-cn-hangzhou"), "--region: 'oss-cn-hangzhou' begins with oss-"),
        (("region", "a b"), "--region: 'a b' is not a region"),
        (("endpoint", "ftp://x"), "--endpoint: 'ftp://x' is not an address"),
        (("endpoint", "https://x/y"), "--endpoint: 'https://x/y' has more than"),
        (("endpoint", "https://a:b@x"), "has more than scheme, host and port"),
        (("endpoint", "https://x:99999"), "has no valid port"),
        (("endpoint", "http://oss-cn-hangzhou.aliyuncs.com"), "is not encrypted; use https"),
        (("endpoint", "http://192.168.1.1"), "is not encrypted; use https"),
        (("endpoint", "https://photos.oss-cn-hangzhou.aliyuncs.com"), "contains the bucket"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(pair: tuple[str, str], says: str) -> None:
    assert says in refusal(pair)


def test_plain_http_is_allowed_to_this_machine_and_where_it_is_asked_for() -> None:
    assert resolve(("endpoint", "http://127.0.0.1:1")).where.endpoint == "http://127.0.0.1:1"
    config = resolve(("endpoint", "http://10.0.0.1"), ("allow-http", "on"))
    assert config.where.endpoint == "http://10.0.0.1"


def test_neither_key_nor_encrypt_none_says_what_to_do() -> None:
    text = refusal(needed=(("region", "cn-hangzhou"),))
    assert "ossfs keygen" in text
    assert "--rsa-key" in text
    assert "--encrypt none" in text


def test_an_unknown_region_says_what_to_give() -> None:
    assert refusal(needed=(("encrypt", "none"),)).endswith("give --region or --endpoint")
    text = refusal(("endpoint", "https://oss-accelerate.aliyuncs.com"), needed=NEEDED[1:])
    assert text.endswith("give --region")


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("regon = 'x'", "/etc/ossfs/config.toml: unknown key regon; did you mean region?"),
        ("[bucket.other]\nregon = 'x'", "[bucket.other] unknown key regon"),
        ("[[policies]]\nglob = '*'", "unknown key policies"),
        ("bucket = 3", "bucket must be sections of the form [bucket.NAME]"),
        ("[bucket]\nphotos = 3", "bucket.photos must be a section of its own"),
        ("parallel = [1]", "parallel: takes one value, not a list"),
        ("parallel = {a = 1}", "parallel: must be a text, a number or true or false"),
        ("parallel = 'x'", "/etc/ossfs/config.toml: parallel: 'x' is not a whole number"),
        ("parallel =", "/etc/ossfs/config.toml: is not TOML"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(toml: str, says: str) -> None:
    assert says in refusal(toml=toml)


def test_a_wrong_variable_is_named() -> None:
    assert refusal(environ={"OSSFS_PARALLEL": "x"}).startswith("OSSFS_PARALLEL: 'x' is not")


def test_an_empty_variable_is_not_set() -> None:
    assert resolve(environ={"OSSFS_PARALLEL": ""}).transfer.parallel == 8


def test_the_kms_is_that_of_the_region_unless_another_is_named() -> None:
    assert resolve().keys.kms_endpoint == "https://kms.cn-hangzhou.aliyuncs.com"
    instance = ("kms-endpoint", "kst-1.cryptoservice.kms.aliyuncs.com")
    assert resolve(instance).keys.kms_endpoint == f"https://{instance[1]}"


def test_a_kms_in_clear_is_refused_beyond_this_machine() -> None:
    clear = ("kms-endpoint", "http://kms.example.com")
    assert "--kms-endpoint" in refusal(clear)
    assert resolve(clear, ("allow-http", "on")).keys.kms_endpoint == clear[1]
    assert resolve(("kms-endpoint", "http://127.0.0.1:1")).keys.kms_endpoint


def test_an_encryption_context_is_never_shown() -> None:
    context = '{"x-passphrase": "open sesame"}'
    assert "sesame" not in repr(resolve(("kms-context", context)))
    assert "sesame" not in refusal(("kms-context", context[:-1]))
    assert "sesame" not in refusal(("kms-context", '["open sesame"]'))
    assert "8192" in refusal(("kms-context", '{"a": "' + "x" * 8192 + '"}'))
