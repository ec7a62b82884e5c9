"""The contract on the in-memory store."""

import pytest

from ossfs.store.base import ObjectStore
from ossfs.store.memory import MemoryStore
from tests.contract.suite import Contract


class TestMemoryStore(Contract):
    @pytest.fixture
    def kms_key(self) -> str:
        return "some-key"

    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore()
