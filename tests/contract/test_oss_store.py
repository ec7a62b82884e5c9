"""The contract on the client, against the embedded server, which verifies every signature."""

from collections.abc import AsyncIterator

import pytest

from ossfs.devserver import RunningServer
from ossfs.store.credentials import EnvironmentCredentials
from ossfs.store.oss import OssStore
from tests.contract.suite import Contract


class TestOssStore(Contract):
    @pytest.fixture
    def kms_key(self, server: RunningServer) -> str:
        return server.create_key()

    @pytest.fixture
    async def store(
        self, server: RunningServer, bucket: str, lasting: EnvironmentCredentials
    ) -> AsyncIterator[OssStore]:
        store = OssStore(
            bucket, region=server.region, endpoint=server.endpoint, credentials=lasting, timeout=5
        )
        yield store
        await store.aclose()
