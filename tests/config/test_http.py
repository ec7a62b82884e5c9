"""Plain http is for this machine alone, unless it is asked for."""

import pytest

from tests.config.test_resolve import refusal, resolve

ENDPOINTS = pytest.mark.parametrize("option", ["endpoint", "kms-endpoint"])


@ENDPOINTS
@pytest.mark.parametrize("host", ["oss.example.com", "10.0.0.1", "127.0.0.1.example.com"])
def test_http_to_another_machine_is_refused_unless_it_is_allowed(option: str, host: str) -> None:
    pair = (option, f"http://{host}")
    text = refusal(pair)
    assert text.startswith(f"--{option}: http://{host} is not encrypted; use https")
    assert "--allow-http" in text
    assert resolve(pair, ("allow-http", "on")).connection.allow_http


@ENDPOINTS
@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "[::1]:8080", "127.1.2.3"])
def test_http_on_this_machine_is_not(option: str, host: str) -> None:
    assert not resolve((option, f"http://{host}")).connection.allow_http
