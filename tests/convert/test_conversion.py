"""One object under another encryption: what changes, what stays, and when nothing is done."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ossfs.crypto.tags import INLINE_LIMIT
from ossfs.errors import AccessDenied, IntegrityError, KeyUnavailable
from ossfs.format.attributes import SYMLINK_MODE, Attributes, from_metadata, from_tags, to_tags
from ossfs.format.contents import Foreign, Own, Plain, classify, without_encryption
from ossfs.keys.base import MasterKey
from ossfs.store.base import ObjectInfo, ServerEncryption
from ossfs.store.memory import MemoryStore
from ossfs.transfer.convert.conversion import Outcome
from ossfs.transfer.convert.goal import Goal, Work
from ossfs.transfer.version import Integrity
from ossfs.types import ObjectKey
from tests.convert.world import AES256, KMS, Conversions, aes, rsa, to_key
from tests.transfer.world import FILE, KEY, PART, content_of

Make = Callable[[], MasterKey | None]
KEYS: dict[str, Make] = {
    "none": lambda: None,
    "rsa": rsa,
    "another rsa": lambda: rsa(1),
    "described": lambda: rsa(0, matdesc={"team": "photos"}),
    "oaep": lambda: rsa(0, padding="oaep-sha1"),
    "deprecated": lambda: rsa(0, padding="deprecated"),
    "aes": aes,
}
PLAIN = KEYS["none"]
SIZES = [0, 5, 3 * PART + 7]
FIFO = replace(FILE, mode=0o010644)
LINK = replace(FILE, mode=SYMLINK_MODE)


def envelope_of(info: ObjectInfo) -> dict[str, str]:
    others = without_encryption(info.metadata)
    return {name: text for name, text in info.metadata.items() if name not in others}


def goal_of(master: MasterKey | None) -> Goal:
    return Goal(client=None) if master is None else to_key(master)


@pytest.mark.parametrize("before", KEYS)
@pytest.mark.parametrize("after", KEYS)
async def test_content_goes_from_any_form_to_any_other(
    conversions: Conversions, before: str, after: str
) -> None:
    content = content_of(3 * PART + 7)
    old = await conversions.store(content, master=KEYS[before](), tags={"a": "b"})
    goal = goal_of(KEYS[after]())
    result = await conversions.convert(goal)
    new = await conversions.info()
    if before == after:
        assert result.outcome is Outcome.AS_ASKED
        assert new == old
        return
    assert (result.outcome, result.work) == (Outcome.CONVERTED, Work.CONTENT)
    kinds = {"none": Plain, "deprecated": Foreign}
    assert type(classify(new.metadata, new.size)) is kinds.get(after, Own)
    own_key = KEYS[after]()
    assert await conversions.content(KEY, *([own_key] if own_key else [])) == content
    assert from_metadata(new.metadata, FILE, size=new.size) == FILE
    assert await conversions.tags() == {"a": "b"}
    assert (await conversions.convert(goal)).outcome is Outcome.AS_ASKED
    assert await conversions.info() == new
    assert conversions.keys(internal=True) == []


@pytest.mark.parametrize("size", SIZES)
async def test_all_but_the_encryption_is_kept(conversions: Conversions, size: int) -> None:
    content = content_of(size)
    old = await conversions.put(
        content,
        metadata={"author": "me", "mode": "33152", "uid": "7", "mtime": "12.5"},
        tags={"project": "x"},
        encryption=KMS,
        storage_class="IA",
        content_type="text/plain",
        web_headers={"cache-control": "no-cache", "content-disposition": "attachment"},
    )
    await conversions.convert(to_key(rsa()))
    new = await conversions.info()
    assert without_encryption(new.metadata).items() >= old.metadata.items()
    assert "gid" not in new.metadata
    kept = ("encryption", "storage_class", "content_type", "web_headers", "size", "tagging_count")
    assert [getattr(new, name) for name in kept] == [getattr(old, name) for name in kept]
    assert await conversions.tags() == {"project": "x"}
    await conversions.convert(Goal(client=None))
    back = await conversions.info()
    assert back == replace(
        old,
        metadata=without_encryption(new.metadata),
        object_type=back.object_type,
        etag=back.etag,
        modified_ns=back.modified_ns,
    )
    assert await conversions.content() == content


async def test_what_has_no_times_of_its_own_keeps_those_that_it_showed(
    conversions: Conversions,
) -> None:
    for number, goal in enumerate((to_key(rsa()), Goal(server=AES256))):
        key = ObjectKey(f"p/{number}")
        old = await conversions.put(b"x", key)
        await conversions.convert(goal, key)
        new = await conversions.info(key)
        seconds = f"{old.modified_ns // 10**9}.000000000"
        assert (new.metadata["mtime"], new.metadata["atime"]) == (seconds, seconds)
        assert "mode" not in new.metadata


async def test_attributes_that_stand_in_a_tag_go_into_the_headers(
    conversions: Conversions,
) -> None:
    old = await conversions.store(b"content", master=rsa(), tags={"a": "b"})
    changed = replace(FILE, mode=0o100600, mtime_ns=99, xattrs={b"user.a": b"1"})
    assert old.crc64 is not None
    tags = to_tags(changed, old.crc64, stored=old.metadata)
    await conversions.world.store.inner.put_tags(KEY, {"a": "b", **tags})
    await conversions.convert(to_key(aes()))
    new = await conversions.info()
    assert from_metadata(new.metadata, FILE, size=7) == changed
    assert await conversions.tags() == {"a": "b"}


async def test_attributes_in_a_tag_stay_there_where_the_bytes_stay(
    conversions: Conversions,
) -> None:
    old = await conversions.store(b"content", master=rsa())
    changed = replace(FILE, mode=0o100600)
    assert old.crc64 is not None
    tags = to_tags(changed, old.crc64, stored=old.metadata)
    await conversions.world.store.inner.put_tags(KEY, tags)
    await conversions.convert(Goal(server=AES256))
    new = await conversions.info()
    base = from_metadata(new.metadata, FILE, size=7)
    assert from_tags(await conversions.tags(), new.crc64, base) == changed


@pytest.mark.parametrize("size", SIZES)
async def test_every_conversion_takes_a_fresh_data_key(conversions: Conversions, size: int) -> None:
    old = await conversions.store(content_of(size), master=rsa())
    before = bytes((await conversions.world.store.inner.get(KEY))[1])
    await conversions.convert(to_key(rsa(0, matdesc={"a": "b"})))
    new = await conversions.info()
    after = bytes((await conversions.world.store.inner.get(KEY))[1])
    name = "client-side-encryption-key"
    assert old.metadata[name] != new.metadata[name]
    assert not size or before != after


async def test_a_large_file_gets_a_sidecar_of_its_own(conversions: Conversions) -> None:
    content = content_of(INLINE_LIMIT + 1)
    old = await conversions.store(content, master=rsa())
    await conversions.convert(to_key(aes()))
    new = await conversions.info()
    assert new.metadata["ossfs-sidecar"] != old.metadata["ossfs-sidecar"]
    assert await conversions.content(KEY, aes()) == content
    await conversions.convert(Goal(client=None))
    assert await conversions.content() == content


@pytest.mark.parametrize("copy_limit", [None, 1 << 20])
async def test_the_sidecar_of_a_large_file_goes_along(
    conversions: Conversions, copy_limit: int | None
) -> None:
    content = content_of(INLINE_LIMIT + 1)
    conversions.world.store.inner = MemoryStore(copy_limit=copy_limit)
    old = await conversions.store(content, master=rsa(), encryption=KMS)
    sidecar = ObjectKey(old.metadata["ossfs-sidecar"])
    for asked in (AES256, None):
        await conversions.convert(Goal(server=asked))
        assert (await conversions.info()).encryption == asked
        assert (await conversions.world.store.head(sidecar)).encryption == asked
    assert await conversions.content() == content


async def test_the_target_of_a_link_is_content_too(conversions: Conversions) -> None:
    await conversions.store(b"some/where", master=rsa(), attributes=LINK)
    await conversions.convert(to_key(aes()))
    new = await conversions.info()
    assert int(new.metadata["mode"]) == SYMLINK_MODE
    assert await conversions.content(KEY, aes()) == b"some/where"


SERVER_SIDE: list[tuple[ServerEncryption | None, ServerEncryption | None]] = [
    (None, AES256),
    (AES256, KMS),
    (KMS, ServerEncryption(algorithm="KMS", key_id="k2")),
    (KMS, None),
]


@pytest.mark.parametrize(("before", "after"), SERVER_SIDE)
@pytest.mark.parametrize("master", [PLAIN, rsa, lambda: rsa(0, padding="deprecated")])
@pytest.mark.parametrize("size", SIZES)
async def test_server_side_encryption_changes_alone_and_without_a_key(
    conversions: Conversions,
    before: ServerEncryption | None,
    after: ServerEncryption | None,
    master: Make,
    size: int,
) -> None:
    content = content_of(size)
    old = await conversions.store(
        content, master=master(), encryption=before, tags={"a": "b"}, storage_class="IA"
    )
    goal = Goal(server=after)
    conversions.masters = []
    result = await conversions.convert(goal)
    assert (result.outcome, result.work) == (Outcome.CONVERTED, Work.SERVER)
    new = await conversions.info()
    assert new == replace(old, encryption=after, modified_ns=new.modified_ns)
    assert await conversions.tags() == {"a": "b"}
    assert (await conversions.convert(goal)).outcome is Outcome.AS_ASKED
    conversions.masters = [rsa()]
    assert await conversions.content() == content
    assert conversions.keys(internal=True) == []


@pytest.mark.parametrize(
    ("master", "goal"),
    [
        (PLAIN, lambda: to_key(aes())),
        (rsa, lambda: Goal(client=None)),
        (rsa, lambda: Goal(server=KMS)),
        (PLAIN, lambda: Goal(server=KMS)),
    ],
)
async def test_an_acl_of_its_own_stays_and_holds_for_what_stands_beside_it_too(
    conversions: Conversions, master: Make, goal: Callable[[], Goal]
) -> None:
    inner = conversions.world.store.inner
    await conversions.store(b"content", master=master())
    inner._versions[KEY] = replace(inner._versions[KEY], acl="private")
    seen: set[str] = set()

    def look(_name: str) -> None:
        seen.update(v.acl for k, v in inner._versions.items() if "/.ossfs/" in k)

    conversions.world.store.before = look
    assert (await conversions.convert(goal())).outcome is Outcome.CONVERTED
    assert await inner.get_acl(KEY) == "private"
    assert seen <= {"private"}


async def test_an_acl_that_nobody_may_ask_for_keeps_nothing_from_being_done(
    conversions: Conversions,
) -> None:
    await conversions.put(b"x")
    store = conversions.world.store

    def refuse(name: str) -> None:
        if name == "get_acl":
            raise AccessDenied("no")

    store.before = refuse
    assert (await conversions.convert(to_key(aes()))).outcome is Outcome.CONVERTED


async def test_both_change_at_once(conversions: Conversions) -> None:
    await conversions.store(b"content", master=rsa(), encryption=AES256)
    goal = to_key(aes(), server=KMS)
    assert (await conversions.convert(goal)).work is Work.CONTENT
    assert (await conversions.info()).encryption == KMS
    assert (await conversions.convert(goal)).outcome is Outcome.AS_ASKED


async def test_the_rule_of_the_bucket_is_no_wish_that_could_be_refused(
    conversions: Conversions,
) -> None:
    conversions.world.store.inner = MemoryStore(encryption=KMS)
    conversions.rule = KMS
    await conversions.put(b"x", encryption=AES256)
    goal = Goal(server=None)
    assert (await conversions.convert(goal)).outcome is Outcome.CONVERTED
    assert (await conversions.info()).encryption == KMS
    assert (await conversions.convert(goal)).outcome is Outcome.AS_ASKED


async def test_kms_without_a_key_takes_any_key(conversions: Conversions) -> None:
    await conversions.put(b"x", encryption=KMS)
    goal = Goal(server=ServerEncryption(algorithm="KMS"))
    assert (await conversions.convert(goal)).outcome is Outcome.AS_ASKED


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("master", "goal"),
    [
        (rsa, lambda: to_key(aes())),
        (rsa, lambda: Goal(client=None)),
        (PLAIN, lambda: to_key(aes())),
        (rsa, lambda: Goal(server=KMS)),
        (PLAIN, lambda: Goal(server=KMS)),
        (PLAIN, lambda: to_key(aes(), server=AES256)),
    ],
)
async def test_what_is_too_large_for_copies_goes_through_this_machine(
    conversions: Conversions, size: int, master: Make, goal: Callable[[], Goal]
) -> None:
    conversions.world.store.inner = MemoryStore(copy_limit=-1)
    content = content_of(size)
    await conversions.store(content, master=master(), tags={"a": "b"}, storage_class="IA")
    wanted = goal()
    assert (await conversions.convert(wanted)).outcome is Outcome.CONVERTED
    assert await conversions.content() == content
    assert await conversions.tags() == {"a": "b"}
    assert (await conversions.info()).storage_class == "IA"
    assert (await conversions.convert(wanted)).outcome is Outcome.AS_ASKED
    assert conversions.keys(internal=True) == []
    assert not conversions.world.store.inner._uploads


async def test_a_dry_run_writes_nothing(conversions: Conversions) -> None:
    old = await conversions.store(b"content", master=rsa())
    result = await conversions.convert(to_key(aes()), dry_run=True)
    assert (result.outcome, result.work, result.size) == (Outcome.CONVERTED, Work.CONTENT, 7)
    assert await conversions.info() == old
    assert set(conversions.world.store.names()) <= {"head", "get_tags", "put"}


@pytest.mark.parametrize("attributes", [FIFO, replace(FILE, mode=0o140644)])
async def test_what_has_no_content_gets_no_envelope(
    conversions: Conversions, attributes: Attributes
) -> None:
    await conversions.world.uploader.put_marker(KEY, attributes)
    directory = ObjectKey("p/d/")
    await conversions.world.uploader.put_marker(directory, replace(FILE, mode=0o040755))
    for key in (KEY, directory):
        result = await conversions.convert(to_key(aes()), key)
        assert (result.outcome, result.reason) == (Outcome.SKIPPED, "it has no content")


async def test_what_is_gone_is_skipped(conversions: Conversions) -> None:
    result = await conversions.convert(to_key(aes()))
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "it was deleted meanwhile")


async def test_a_missing_key_is_said_and_nothing_changes(conversions: Conversions) -> None:
    old = await conversions.store(b"content", master=rsa())
    conversions.masters = [aes()]
    result = await conversions.convert(to_key(aes()))
    assert result.outcome is Outcome.FAILED
    assert isinstance(result.error, KeyUnavailable)
    assert await conversions.info() == old
    assert conversions.keys(internal=True) == []


async def test_under_require_nothing_unauthenticated_is_vouched_for(
    conversions: Conversions,
) -> None:
    await conversions.put(b"whoever wrote this")
    conversions.integrity = Integrity.REQUIRE
    result = await conversions.convert(to_key(aes()))
    assert isinstance(result.error, IntegrityError)


async def test_damaged_content_is_not_converted(conversions: Conversions) -> None:
    await conversions.store(content_of(3 * PART), master=rsa())
    inner = conversions.world.store.inner
    damaged = inner._versions[KEY]
    inner._versions[KEY] = replace(damaged, body=damaged.body[:-1] + b"?")
    before = inner._versions[KEY]
    for goal in (to_key(aes()), Goal(client=None)):
        result = await conversions.convert(goal)
        assert isinstance(result.error, IntegrityError)
    assert inner._versions[KEY] == before
    assert conversions.keys(internal=True) == []


async def test_a_forged_envelope_is_a_failure_of_that_object(conversions: Conversions) -> None:
    await conversions.put(b"x", metadata={"ossfs-format": "1"})
    result = await conversions.convert(to_key(aes()))
    assert isinstance(result.error, IntegrityError)


async def test_metadata_without_room_for_an_envelope_is_said(conversions: Conversions) -> None:
    old = await conversions.put(b"x", metadata={"long": "a" * 8000})
    result = await conversions.convert(to_key(rsa()))
    assert result.outcome is Outcome.FAILED
    assert "8 KB" in result.reason
    assert await conversions.info() == old
