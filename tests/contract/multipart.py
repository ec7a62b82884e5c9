"""The contract of multipart uploads and of the envelope they announce."""

import fastcrc
import pytest

from ossfs.errors import AlreadyExists, NoSuchUpload, NotFound, RefusedByServer
from ossfs.store.base import ObjectStore, Part, PutOptions
from ossfs.types import ETag
from tests.contract.material import ENVELOPE, MIN_PART, PLAIN, key, multipart_envelope, some_bytes


class MultipartContract:
    """Subclasses give the fixture `store`: an empty bucket."""

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
