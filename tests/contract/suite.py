"""What every `ObjectStore` does: one suite that the modules beside it run on each of them."""

import hashlib
import random

import fastcrc
import pytest

from ossfs.errors import (
    AlreadyExists,
    NoSuchUpload,
    NotFound,
    RangeNotSatisfiable,
    RefusedByServer,
    Stale,
)
from ossfs.store.base import ObjectStore, Part, PutOptions, ServerEncryption
from ossfs.types import ETag, ObjectKey

PLAIN = PutOptions()
KIB = 1024
MIN_PART = 100 * KIB
ENVELOPE = {
    "client-side-encryption-key": "a2V5",
    "client-side-encryption-start": "c3RhcnQ=",
    "client-side-encryption-cek-alg": "AES/CTR/NoPadding",
    "client-side-encryption-wrap-alg": "RSA/NONE/PKCS1Padding",
}


def key(name: str) -> ObjectKey:
    return ObjectKey(name)


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def multipart_envelope(data_size: int, part_size: int) -> PutOptions:
    sizes = {
        "client-side-encryption-data-size": str(data_size),
        "client-side-encryption-part-size": str(part_size),
    }
    return PutOptions(metadata=ENVELOPE | sizes)


async def names_of(
    store: ObjectStore, prefix: str, *, delimiter: str = "", max_keys: int = 1000
) -> list[str]:
    """All pages of a listing, keys and common prefixes in one order."""
    names: list[str] = []
    token = None
    while True:
        page = await store.list_page(prefix, delimiter=delimiter, token=token, max_keys=max_keys)
        assert len(page.entries) + len(page.prefixes) <= max_keys
        names += sorted([entry.key for entry in page.entries] + list(page.prefixes))
        token = page.next_token
        if token is None:
            return names


class Contract:
    """Subclasses give the fixture `store`: an empty bucket."""

    async def test_what_was_put_comes_back_whole(self, store: ObjectStore) -> None:
        for body in (b"", b"x", some_bytes(300 * KIB)):
            await store.put(key("a"), body, PLAIN)
            info, read = await store.get(key("a"))
            assert (bytes(read), info.size) == (body, len(body))

    async def test_every_kind_of_buffer_can_be_put(self, store: ObjectStore) -> None:
        body = some_bytes(5000)
        for buffer in (body, bytearray(body), memoryview(b"x" + body)[1:]):
            await store.put(key("a"), buffer, PLAIN)
            assert bytes((await store.get(key("a")))[1]) == body

    async def test_an_object_does_not_follow_later_changes_of_the_buffer(
        self, store: ObjectStore
    ) -> None:
        buffer = bytearray(b"before")
        await store.put(key("a"), buffer, PLAIN)
        buffer[:] = b"after!"
        assert bytes((await store.get(key("a")))[1]) == b"before"

    async def test_the_answer_to_a_put_describes_the_bytes(self, store: ObjectStore) -> None:
        body = some_bytes(1000)
        stored = await store.put(key("a"), body, PLAIN)
        assert stored.etag == hashlib.md5(body).hexdigest().upper()
        assert stored.crc64 == fastcrc.crc64.xz(body)

    async def test_head_and_get_tell_the_same(self, store: ObjectStore) -> None:
        options = PutOptions(
            metadata={"Mode": "33188", "xattr": "", "name": "\u00fcml\u00e4ut"},
            tags={"ossfs.attr": "1:33188:0:0", "a b": "+=/"},
            encryption=ServerEncryption(algorithm="KMS", key_id="some-key"),
            storage_class="IA",
            content_type="application/x-directory",
        )
        stored = await store.put(key("a"), b"body", options)
        info = await store.head(key("a"))
        assert info == (await store.get(key("a")))[0]
        assert info.metadata == {"mode": "33188", "xattr": "", "name": "\u00fcml\u00e4ut"}
        assert (info.etag, info.crc64, info.size) == (stored.etag, stored.crc64, 4)
        assert (info.tagging_count, info.encryption) == (2, options.encryption)
        assert (info.storage_class, info.content_type) == ("IA", "application/x-directory")
        assert info.object_type == "Normal"
        assert info.modified_ns % 1_000_000_000 == 0

    async def test_a_put_replaces_body_metadata_and_tags(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"one", PutOptions(metadata={"m": "1"}, tags={"t": "1"}))
        await store.put(key("a"), b"three", PutOptions(metadata={"n": "2"}))
        info = await store.head(key("a"))
        assert (info.size, dict(info.metadata), info.tagging_count) == (5, {"n": "2"}, 0)

    async def test_kms_without_a_key_shows_the_key_of_the_bucket(self, store: ObjectStore) -> None:
        options = PutOptions(encryption=ServerEncryption(algorithm="KMS"))
        await store.put(key("a"), b"", options)
        encryption = (await store.head(key("a"))).encryption
        assert encryption is not None
        assert encryption.key_id

    async def test_what_is_not_there_is_not_found(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound):
            await store.head(key("absent"))
        with pytest.raises(NotFound):
            await store.get(key("absent"), start=1, length=2)
        with pytest.raises(NotFound):
            await store.get_tags(key("absent"))
        with pytest.raises(NotFound):
            await store.put_tags(key("absent"), {"a": "b"})
        with pytest.raises(NotFound):
            await store.put_tags(key("absent"), {})
        with pytest.raises(NotFound):
            await store.copy(key("absent"), key("b"))

    async def test_ranges_are_clipped_at_the_end(self, store: ObjectStore) -> None:
        body = some_bytes(1000)
        await store.put(key("a"), body, PLAIN)
        for start, length in ((0, 1), (0, 1000), (0, 5000), (999, 1), (10, 20), (500, 501)):
            info, read = await store.get(key("a"), start=start, length=length)
            assert bytes(read) == body[start : start + length]
            assert info.size == 1000
        assert bytes((await store.get(key("a"), start=990))[1]) == body[990:]

    async def test_a_range_behind_the_end_is_refused(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"12345", PLAIN)
        for start, length in ((5, 1), (6, None), (0, 0), (2, -1)):
            with pytest.raises(RangeNotSatisfiable):
                await store.get(key("a"), start=start, length=length)

    async def test_an_empty_object_has_no_range(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"", PLAIN)
        assert bytes((await store.get(key("a")))[1]) == b""
        with pytest.raises(RangeNotSatisfiable):
            await store.get(key("a"), start=0, length=10)

    async def test_a_get_of_another_version_is_stale(self, store: ObjectStore) -> None:
        first = await store.put(key("a"), b"first", PLAIN)
        assert bytes((await store.get(key("a"), if_match=first.etag))[1]) == b"first"
        await store.put(key("a"), b"second", PLAIN)
        for start, length in ((0, None), (1, 2), (100, 1)):
            with pytest.raises(Stale):
                await store.get(key("a"), start=start, length=length, if_match=first.etag)

    async def test_forbidding_overwriting_protects_what_is_there(self, store: ObjectStore) -> None:
        careful = PutOptions(forbid_overwrite=True)
        await store.put(key("a"), b"mine", careful)
        with pytest.raises(AlreadyExists):
            await store.put(key("a"), b"mine", careful)
        with pytest.raises(AlreadyExists):
            await store.initiate_multipart(key("a"), careful)
        await store.put(key("b"), b"other", PLAIN)
        with pytest.raises(AlreadyExists):
            await store.copy(key("b"), key("a"), forbid_overwrite=True)
        assert bytes((await store.get(key("a")))[1]) == b"mine"

    @pytest.mark.parametrize("name", ["", "/a", "\\a", "a" * 1024, "\u00e4" * 512])
    async def test_impossible_keys_are_refused(self, store: ObjectStore, name: str) -> None:
        with pytest.raises(RefusedByServer):
            await store.put(key(name), b"", PLAIN)
        with pytest.raises(RefusedByServer):
            await store.head(key(name))
        with pytest.raises(RefusedByServer):
            await store.delete(key(name))

    @pytest.mark.parametrize(
        "name",
        [
            "a b",
            "+%2F&?#~;=",
            "\u6587\u4ef6",
            "a//b/../c/.",
            "dir/",
            "*'()!$,:@",
            '"<>\\^`{|}',
            "\U0001f600",
            "new\nline",
            "\x01\x7f",
            "a" * 1023,
        ],
    )
    async def test_every_possible_key_works(self, store: ObjectStore, name: str) -> None:
        await store.put(key(name), b"body", PutOptions(metadata={"m": "1"}))
        assert (await store.head(key(name))).key == name
        assert bytes((await store.get(key(name)))[1]) == b"body"
        assert await names_of(store, name[:3]) == [name]
        await store.copy(key(name), key("target"))
        assert bytes((await store.get(key("target")))[1]) == b"body"
        await store.delete_many([key(name), key("target")])
        assert await names_of(store, "") == []

    @pytest.mark.parametrize(
        "metadata",
        [{"under_score": "1"}, {"": "1"}, {"m": "a\nb"}, {"m": " a"}, {"m": "a" * 8192}],
    )
    async def test_metadata_that_cannot_be_stored_is_refused(
        self, store: ObjectStore, metadata: dict[str, str]
    ) -> None:
        with pytest.raises(RefusedByServer):
            await store.put(key("a"), b"", PutOptions(metadata=metadata))
        with pytest.raises(NotFound):
            await store.head(key("a"))

    async def test_metadata_may_take_nearly_eight_kilobytes(self, store: ObjectStore) -> None:
        metadata = {"m": "a" * 8000}
        await store.put(key("a"), b"", PutOptions(metadata=metadata))
        assert (await store.head(key("a"))).metadata == metadata

    @pytest.mark.parametrize(
        "tags",
        [{str(number): "" for number in range(11)}, {"a" * 129: ""}, {"a": "b" * 257}, {"a": "#"}],
    )
    async def test_tags_that_cannot_be_stored_are_refused(
        self, store: ObjectStore, tags: dict[str, str]
    ) -> None:
        with pytest.raises(RefusedByServer):
            await store.put(key("a"), b"", PutOptions(tags=tags))
        await store.put(key("a"), b"", PLAIN)
        with pytest.raises(RefusedByServer):
            await store.put_tags(key("a"), tags)

    async def test_tags_are_replaced_as_a_whole(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"body", PutOptions(tags={"x": "1", "y": "2"}))
        before = await store.head(key("a"))
        assert await store.get_tags(key("a")) == {"x": "1", "y": "2"}
        await store.put_tags(key("a"), {"z": "+ -=._:/"})
        assert await store.get_tags(key("a")) == {"z": "+ -=._:/"}
        after = await store.head(key("a"))
        assert (after.etag, after.modified_ns) == (before.etag, before.modified_ns)
        assert after.tagging_count == 1
        await store.put_tags(key("a"), {})
        assert await store.get_tags(key("a")) == {}
        assert (await store.head(key("a"))).tagging_count == 0

    async def test_a_copy_carries_metadata_and_tags(self, store: ObjectStore) -> None:
        options = PutOptions(metadata=ENVELOPE | {"mode": "1"}, tags={"t": "1"})
        written = await store.put(key("a"), b"body", options)
        copied = await store.copy(key("a"), key("b"), if_match=written.etag)
        assert (copied.etag, copied.crc64) == (written.etag, written.crc64)
        info, body = await store.get(key("b"))
        assert (bytes(body), dict(info.metadata)) == (b"body", ENVELOPE | {"mode": "1"})
        assert await store.get_tags(key("b")) == {"t": "1"}
        await store.copy(key("a"), key("b"), tags={"u": "2"})
        assert await store.get_tags(key("b")) == {"u": "2"}
        await store.copy(key("a"), key("b"), tags={})
        assert await store.get_tags(key("b")) == {}

    async def test_a_copy_drops_server_encryption_and_storage_class_unless_restated(
        self, store: ObjectStore
    ) -> None:
        encryption = ServerEncryption(algorithm="KMS", key_id="k")
        await store.put(key("a"), b"", PutOptions(encryption=encryption, storage_class="IA"))
        await store.copy(key("a"), key("b"))
        dropped = await store.head(key("b"))
        assert (dropped.encryption, dropped.storage_class) == (None, "Standard")
        await store.copy(key("a"), key("b"), encryption=encryption, storage_class="IA")
        kept = await store.head(key("b"))
        assert (kept.encryption, kept.storage_class) == (encryption, "IA")

    async def test_a_copy_of_another_version_is_stale(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"body", PLAIN)
        with pytest.raises(Stale):
            await store.copy(key("a"), key("b"), if_match=ETag("0" * 32))
        with pytest.raises(NotFound):
            await store.head(key("b"))

    async def test_a_copy_onto_itself_is_refused(self, store: ObjectStore) -> None:
        await store.put(key("a"), b"body", PutOptions(metadata=ENVELOPE))
        with pytest.raises(RefusedByServer):
            await store.copy(key("a"), key("a"))
        assert (await store.head(key("a"))).metadata == ENVELOPE

    async def test_deleting_works_whether_or_not_something_is_there(
        self, store: ObjectStore
    ) -> None:
        await store.put(key("a"), b"", PLAIN)
        for _ in range(2):
            await store.delete(key("a"))
        with pytest.raises(NotFound):
            await store.head(key("a"))

    async def test_many_are_deleted_at_once(self, store: ObjectStore) -> None:
        names = [key(f"&<>\r{number:04}") for number in range(20)]
        for name in names:
            await store.put(name, b"", PLAIN)
        absent = [key(f"absent{number}") for number in range(1500)]
        await store.delete_many([*absent, *names[1:]])
        await store.delete_many([])
        assert await names_of(store, "") == names[:1]

    async def test_listings_are_in_byte_order_on_pages_of_any_size(
        self, store: ObjectStore
    ) -> None:
        names = ["Z", "a", "a+b c", "a/", "a/1", "ab", "\u00e9", "\uffff", "\U0001f600", "&%25"]
        for name in names:
            await store.put(key(name), name.encode(), PLAIN)
        expected = sorted(names, key=str.encode)
        for max_keys in (1, 2, 3, 1000):
            assert await names_of(store, "", max_keys=max_keys) == expected
        assert await names_of(store, "a") == [name for name in expected if name.startswith("a")]

    async def test_a_delimiter_gathers_common_prefixes(self, store: ObjectStore) -> None:
        for name in ("d/", "d/a", "d/s/1", "d/s/2", "d/t/u/v", "d/z", "e", "d\u00e9/x"):
            await store.put(key(name), b"", PLAIN)
        for max_keys in (1, 2, 5, 1000):
            inside = await names_of(store, "d/", delimiter="/", max_keys=max_keys)
            assert inside == ["d/", "d/a", "d/s/", "d/t/", "d/z"]
            top = await names_of(store, "", delimiter="/", max_keys=max_keys)
            assert top == ["d/", "d\u00e9/", "e"]

    async def test_a_listing_may_start_behind_a_name(self, store: ObjectStore) -> None:
        for name in ("a", "b", "c"):
            await store.put(key(name), b"", PLAIN)
        page = await store.list_page("", start_after="a")
        assert [entry.key for entry in page.entries] == ["b", "c"]
        assert (await store.list_page("x")).next_token is None

    async def test_a_listing_tells_what_head_tells(self, store: ObjectStore) -> None:
        await store.put(key("a b"), b"body", PutOptions(storage_class="IA"))
        info = await store.head(key("a b"))
        (entry,) = (await store.list_page("a")).entries
        assert (entry.key, entry.size, entry.etag) == (info.key, info.size, info.etag)
        assert (entry.modified_ns, entry.storage_class) == (info.modified_ns, info.storage_class)
        assert entry.object_type == info.object_type

    async def test_page_sizes_have_limits(self, store: ObjectStore) -> None:
        for max_keys in (0, 1001):
            with pytest.raises(RefusedByServer):
                await store.list_page("", max_keys=max_keys)

    async def _upload(
        self, store: ObjectStore, options: PutOptions, bodies: list[bytes]
    ) -> tuple[str, list[Part]]:
        upload_id = await store.initiate_multipart(key("m"), options)
        parts = [
            await store.put_part(key("m"), upload_id, number, body)
            for number, body in enumerate(bodies, 1)
        ]
        return upload_id, parts

    async def test_parts_are_joined_in_their_order(self, store: ObjectStore) -> None:
        bodies = [some_bytes(MIN_PART), some_bytes(MIN_PART + 1), b"end"]
        options = PutOptions(metadata={"m": "1"}, tags={"t": "1"}, storage_class="IA")
        upload_id, parts = await self._upload(store, options, bodies)
        with pytest.raises(NotFound):
            await store.head(key("m"))
        stored = await store.complete_multipart(key("m"), upload_id, parts)
        whole = b"".join(bodies)
        info, read = await store.get(key("m"))
        assert bytes(read) == whole
        assert (stored.crc64, info.crc64) == (fastcrc.crc64.xz(whole),) * 2
        assert stored.etag == info.etag
        assert info.etag.endswith("-3")
        assert (dict(info.metadata), info.tagging_count) == ({"m": "1"}, 1)
        assert (info.object_type, info.storage_class) == ("Multipart", "IA")

    async def test_a_part_tells_its_own_checksum_and_may_be_replaced(
        self, store: ObjectStore
    ) -> None:
        upload_id, (first,) = await self._upload(store, PLAIN, [b"first"])
        assert first.crc64 == fastcrc.crc64.xz(b"first")
        second = await store.put_part(key("m"), upload_id, 1, b"second")
        with pytest.raises(RefusedByServer):
            await store.complete_multipart(key("m"), upload_id, [first])
        await store.complete_multipart(key("m"), upload_id, [second])
        assert bytes((await store.get(key("m")))[1]) == b"second"

    async def test_wrong_part_lists_are_refused(self, store: ObjectStore) -> None:
        upload_id, (one, two) = await self._upload(store, PLAIN, [some_bytes(MIN_PART), b"x"])
        absent = Part(number=3, etag=ETag("0" * 32))
        for wrong in ([], [two, one], [one, one], [one, two, absent]):
            with pytest.raises(RefusedByServer):
                await store.complete_multipart(key("m"), upload_id, wrong)
        await store.complete_multipart(key("m"), upload_id, [one, two])

    async def test_small_parts_are_refused_except_the_last(self, store: ObjectStore) -> None:
        upload_id, parts = await self._upload(store, PLAIN, [some_bytes(MIN_PART - 1), b"x"])
        with pytest.raises(RefusedByServer):
            await store.complete_multipart(key("m"), upload_id, parts)

    @pytest.mark.parametrize("number", [0, 10_001])
    async def test_part_numbers_have_limits(self, store: ObjectStore, number: int) -> None:
        upload_id = await store.initiate_multipart(key("m"), PLAIN)
        with pytest.raises(RefusedByServer):
            await store.put_part(key("m"), upload_id, number, b"x")

    async def test_an_upload_ends_once(self, store: ObjectStore) -> None:
        upload_id, parts = await self._upload(store, PLAIN, [b"x"])
        await store.complete_multipart(key("m"), upload_id, parts)
        with pytest.raises(NoSuchUpload):
            await store.complete_multipart(key("m"), upload_id, parts)
        with pytest.raises(NoSuchUpload):
            await store.put_part(key("m"), upload_id, 1, b"x")
        await store.abort_multipart(key("m"), upload_id)

    async def test_an_aborted_upload_leaves_nothing(self, store: ObjectStore) -> None:
        upload_id, parts = await self._upload(store, PLAIN, [b"x"])
        await store.abort_multipart(key("m"), upload_id)
        await store.abort_multipart(key("m"), upload_id)
        with pytest.raises(NoSuchUpload):
            await store.complete_multipart(key("m"), upload_id, parts)
        with pytest.raises(NotFound):
            await store.head(key("m"))

    async def test_completion_may_forbid_overwriting(self, store: ObjectStore) -> None:
        upload_id, parts = await self._upload(store, PLAIN, [b"mine"])
        await store.put(key("m"), b"foreign", PLAIN)
        with pytest.raises(AlreadyExists):
            await store.complete_multipart(key("m"), upload_id, parts, forbid_overwrite=True)
        assert bytes((await store.get(key("m")))[1]) == b"foreign"
        await store.complete_multipart(key("m"), upload_id, parts)
        assert bytes((await store.get(key("m")))[1]) == b"mine"

    @pytest.mark.parametrize("missing", sorted(ENVELOPE))
    async def test_an_incomplete_envelope_is_refused(
        self, store: ObjectStore, missing: str
    ) -> None:
        partial = {name: value for name, value in ENVELOPE.items() if name != missing}
        with pytest.raises(RefusedByServer) as put:
            await store.put(key("a"), b"", PutOptions(metadata=partial))
        assert put.value.code == "InvalidEncryptionRequest"
        assert put.value.ec.startswith("0005-0000040")
        with pytest.raises(RefusedByServer):
            await store.initiate_multipart(key("a"), PutOptions(metadata=partial))

    @pytest.mark.parametrize(
        ("data_size", "part_size", "ec"),
        [
            ("", "102400", "0005-00000406"),
            ("102400", "", "0005-00000407"),
            ("many", "102400", "0005-00000408"),
            ("102400", "few", "0005-00000409"),
            ("1024000001", "102400", "0005-00000410"),
        ],
    )
    async def test_an_encrypted_upload_announces_its_sizes(
        self, store: ObjectStore, data_size: str, part_size: str, ec: str
    ) -> None:
        sizes = {"data-size": data_size, "part-size": part_size}
        stated = {f"client-side-encryption-{name}": text for name, text in sizes.items() if text}
        with pytest.raises(RefusedByServer) as refused:
            await store.initiate_multipart(key("a"), PutOptions(metadata=ENVELOPE | stated))
        assert refused.value.ec == ec

    @pytest.mark.parametrize(
        "sizes",
        [
            [MIN_PART, MIN_PART],
            [MIN_PART, MIN_PART + 1, 10],
            [MIN_PART, MIN_PART, 11],
            [MIN_PART, MIN_PART, 5, 5],
        ],
    )
    async def test_an_encrypted_upload_keeps_to_the_sizes_it_announced(
        self, store: ObjectStore, sizes: list[int]
    ) -> None:
        options = multipart_envelope(2 * MIN_PART + 10, MIN_PART)
        bodies = [some_bytes(size) for size in sizes]

        async def upload() -> None:
            upload_id, parts = await self._upload(store, options, bodies)
            await store.complete_multipart(key("m"), upload_id, parts)

        with pytest.raises(RefusedByServer) as refused:
            await upload()
        assert refused.value.code == "InvalidEncryptionRequest"

    async def test_an_encrypted_upload_of_equal_parts_succeeds(self, store: ObjectStore) -> None:
        bodies = [some_bytes(MIN_PART), some_bytes(MIN_PART), b"0123456789"]
        options = multipart_envelope(2 * MIN_PART + 10, MIN_PART)
        upload_id, parts = await self._upload(store, options, bodies)
        await store.complete_multipart(key("m"), upload_id, parts)
        assert (await store.head(key("m"))).metadata == options.metadata

    async def test_wrong_server_encryption_is_refused(self, store: ObjectStore) -> None:
        for encryption in (
            ServerEncryption(algorithm="ROT13"),
            ServerEncryption(algorithm="AES256", key_id="k"),
        ):
            with pytest.raises(RefusedByServer):
                await store.put(key("a"), b"", PutOptions(encryption=encryption))
        with pytest.raises(RefusedByServer):
            await store.put(key("a"), b"", PutOptions(storage_class="Attic"))

    async def test_the_bucket_tells_its_name(self, store: ObjectStore) -> None:
        info = await store.bucket_info()
        assert info.name
        assert info.location.startswith("oss-")
        assert info.storage_class == "Standard"
