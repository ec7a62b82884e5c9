"""The contract of single objects: put, get, head, copy, tags."""

import hashlib

import fastcrc
import pytest

from ossfs.errors import AlreadyExists, NotFound, RangeNotSatisfiable, RefusedByServer, Stale
from ossfs.store.base import ObjectStore, PutOptions, ServerEncryption
from ossfs.types import ETag
from tests.contract.material import ENVELOPE, KIB, PLAIN, key, names_of, some_bytes


class ObjectContract:
    """Subclasses give the fixtures `store`, an empty bucket, and `kms_key`, a key of its KMS."""

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

    async def test_head_and_get_tell_the_same(self, store: ObjectStore, kms_key: str) -> None:
        options = PutOptions(
            metadata={"Mode": "33188", "xattr": "", "name": "\u00fcml\u00e4ut"},
            tags={"ossfs.attr": "1:33188:0:0", "a b": "+=/"},
            encryption=ServerEncryption(algorithm="KMS", key_id=kms_key),
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
        self, store: ObjectStore, kms_key: str
    ) -> None:
        encryption = ServerEncryption(algorithm="KMS", key_id=kms_key)
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

    async def test_a_restated_object_has_the_stated_headers_and_no_others(
        self, store: ObjectStore
    ) -> None:
        before = PutOptions(
            metadata={"mode": "33188", "own": "x"},
            tags={"a": "b"},
            storage_class="IA",
            content_type="text/plain",
            web_headers={"cache-control": "no-cache", "content-encoding": "gzip"},
        )
        etag = (await store.put(key("a"), b"body", before)).etag
        assert (await store.head(key("a"))).web_headers == before.web_headers
        after = PutOptions(
            metadata={"mode": "33152"},
            tags={"ignored": "1"},
            forbid_overwrite=True,
            encryption=ServerEncryption(algorithm="AES256"),
            content_type="text/css",
            web_headers={"content-encoding": "gzip"},
        )
        stored = await store.restate(key("a"), after, if_match=etag)
        info, body = await store.get(key("a"))
        assert (bytes(body), info.etag) == (b"body", stored.etag)
        assert info.metadata == {"mode": "33152"}
        assert (info.content_type, info.web_headers) == ("text/css", {"content-encoding": "gzip"})
        assert info.encryption == stored.encryption == after.encryption
        assert info.storage_class == "Standard"
        assert await store.get_tags(key("a")) == {"a": "b"}

    async def test_what_is_not_that_version_is_not_restated(self, store: ObjectStore) -> None:
        with pytest.raises(NotFound):
            await store.restate(key("a"), PLAIN, if_match=ETag("A" * 32))
        await store.put(key("a"), b"body", PLAIN)
        with pytest.raises(Stale):
            await store.restate(key("a"), PLAIN, if_match=ETag("A" * 32))

    async def test_a_client_encrypted_object_is_not_restated(self, store: ObjectStore) -> None:
        options = PutOptions(metadata=ENVELOPE)
        etag = (await store.put(key("a"), b"body", options)).etag
        with pytest.raises(RefusedByServer) as refused:
            await store.restate(key("a"), options, if_match=etag)
        assert refused.value.code == "InvalidEncryptionRequest"
        assert refused.value.ec == "0005-00000421"

    async def test_every_answer_to_a_write_says_how_the_server_encrypts(
        self, store: ObjectStore
    ) -> None:
        asked = ServerEncryption(algorithm="KMS")
        put = await store.put(key("a"), b"", PutOptions(encryption=asked))
        assert put.encryption == (await store.head(key("a"))).encryption
        assert put.encryption is not None
        assert put.encryption.key_id
        copied = await store.copy(key("a"), key("b"), encryption=put.encryption)
        assert copied.encryption == put.encryption
        assert (await store.copy(key("a"), key("b"))).encryption is None
        upload = await store.initiate_multipart(key("c"), PutOptions(encryption=asked))
        part = await store.put_part(key("c"), upload, 1, b"x")
        joined = await store.complete_multipart(key("c"), upload, [part])
        assert joined.encryption == put.encryption

    async def test_sm4_is_restated_as_data_algorithm_of_a_kms_key(
        self, store: ObjectStore, kms_key: str
    ) -> None:
        asked = ServerEncryption(algorithm="KMS", key_id=kms_key, data_algorithm="SM4")
        await store.put(key("a"), b"", PutOptions(encryption=asked))
        shown = (await store.head(key("a"))).encryption
        assert shown == asked
        assert (await store.copy(key("a"), key("b"), encryption=shown)).encryption == asked
        wrong = ServerEncryption(algorithm="AES256", data_algorithm="SM4")
        with pytest.raises(RefusedByServer):
            await store.put(key("a"), b"", PutOptions(encryption=wrong))

    async def test_an_acl_is_that_of_one_version_and_must_be_restated(
        self, store: ObjectStore
    ) -> None:
        with pytest.raises(NotFound):
            await store.get_acl(key("a"))
        stored = await store.put(key("a"), b"x", PutOptions(acl="private"))
        assert await store.get_acl(key("a")) == "private"
        await store.copy(key("a"), key("b"))
        await store.copy(key("a"), key("c"), acl="public-read")
        found = [await store.get_acl(key(name)) for name in "bc"]
        assert found == ["default", "public-read"]
        await store.restate(key("a"), PutOptions(acl="public-read"), if_match=stored.etag)
        assert await store.get_acl(key("a")) == "public-read"
        await store.restate(key("a"), PLAIN, if_match=stored.etag)
        assert await store.get_acl(key("a")) == "default"
        await store.put(key("a"), b"x", PLAIN)
        assert await store.get_acl(key("a")) == "default"

    async def test_wrong_server_encryption_is_refused(self, store: ObjectStore) -> None:
        for encryption in (
            ServerEncryption(algorithm="ROT13"),
            ServerEncryption(algorithm="AES256", key_id="k"),
        ):
            with pytest.raises(RefusedByServer):
                await store.put(key("a"), b"", PutOptions(encryption=encryption))
        with pytest.raises(RefusedByServer):
            await store.put(key("a"), b"", PutOptions(storage_class="Attic"))
