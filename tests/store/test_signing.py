import calendar
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ossfs.store.credentials import Credentials
from ossfs.store.signing import (
    canonical_query,
    canonical_request,
    escape_path,
    sign,
    string_to_sign,
)

_VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "sign.json").read_text())["v4"]


def _path(vector: dict[str, Any]) -> str:
    return escape_path(f"/{vector['bucket']}/{vector['key'] or ''}")


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: vector["name"])
def test_the_signature_is_that_of_the_official_client(vector: dict[str, Any]) -> None:
    when = calendar.timegm(time.strptime(vector["date"], "%Y%m%dT%H%M%SZ"))
    credentials = Credentials(
        access_key_id=vector["ak"], access_key_secret=vector["sk"], token=vector["token"]
    )
    query = canonical_query((name, value) for name, value in vector["query"])
    signed = sign(
        credentials,
        vector["region"],
        method=vector["method"],
        path=_path(vector),
        query=query,
        headers=vector["headers"],
        when=when + 0.9,
        additional=vector["additional"] or (),
    )
    assert signed["authorization"] == vector["authorization"]
    canonical = canonical_request(
        vector["method"], _path(vector), query, signed, vector["additional"] or ()
    )
    assert canonical == vector["canonical_request"]
    to_sign = string_to_sign(canonical, vector["date"], vector["region"])
    assert to_sign == vector["string_to_sign"]
    sent = {name.lower(): value for name, value in vector["sent_headers"].items()}
    # The SDK also sends a Date, which version 4 does not need.
    assert signed == {name: value for name, value in sent.items() if name != "date"}


def test_signing_leaves_the_headers_of_the_caller_alone() -> None:
    headers = {"X-Oss-Meta-M": " 1 "}
    credentials = Credentials(access_key_id="id", access_key_secret="secret")
    signed = sign(credentials, "r", method="GET", path="/b/", query="", headers=headers, when=0)
    assert headers == {"X-Oss-Meta-M": " 1 "}
    assert signed["x-oss-date"] == "19700101T000000Z"
    assert "x-oss-security-token" not in signed
