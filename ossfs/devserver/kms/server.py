"""The embedded KMS as an HTTP service: parameters in, JSON out."""

import binascii
import json
import logging
import uuid
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ossfs.devserver.config import ServerConfig
from ossfs.devserver.errors import Refusal
from ossfs.devserver.faults import FaultRule, Faults
from ossfs.devserver.kms import aliases, ciphers, importing, keys
from ossfs.devserver.kms.auth import KmsAuthenticator, SignedRequest
from ossfs.devserver.kms.call import Answer, Call
from ossfs.devserver.kms.errors import KmsError, invalid, missing, refusal_of
from ossfs.devserver.kms.keystore import KeyStore
from ossfs.devserver.routing import query_of
from ossfs.devserver.service import Asked, Service
from ossfs.devserver.wire import ClientGoneError, Connection, Head, Response

log = logging.getLogger(__name__)

DEMO_ALIAS = "alias/ossfs-demo"
_VERSION = "2016-01-20"
_MAX_BODY_BYTES = 1 << 20

Handler = Callable[[Call], Awaitable[Answer]]
HANDLERS: dict[str, Handler] = {
    "CancelKeyDeletion": keys.cancel_key_deletion,
    "CreateAlias": aliases.create_alias,
    "CreateKey": keys.create_key,
    "CreateKeyVersion": keys.create_key_version,
    "Decrypt": ciphers.decrypt,
    "DeleteAlias": aliases.delete_alias,
    "DeleteKeyMaterial": importing.delete_key_material,
    "DescribeKey": keys.describe_key,
    "DescribeKeyVersion": keys.describe_key_version,
    "DisableKey": keys.disable_key,
    "EnableKey": keys.enable_key,
    "Encrypt": ciphers.encrypt,
    "GenerateDataKey": ciphers.generate_data_key,
    "GenerateDataKeyWithoutPlaintext": ciphers.generate_data_key_without_plaintext,
    "GetParametersForImport": importing.get_parameters_for_import,
    "ImportKeyMaterial": importing.import_key_material,
    "ListAliases": aliases.list_aliases,
    "ListAliasesByKeyId": aliases.list_aliases_by_key_id,
    "ListKeyVersions": keys.list_key_versions,
    "ListKeys": keys.list_keys,
    "ReEncrypt": ciphers.re_encrypt,
    "ScheduleKeyDeletion": keys.schedule_key_deletion,
    "UpdateAlias": aliases.update_alias,
}


@dataclass(slots=True, kw_only=True)
class _KmsAsked(Asked):
    """A request on its way, with its parameters."""

    query: dict[str, str] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class KmsServer(Service[_KmsAsked]):
    """The KMS of one server; its keys stand below `kms` in the root directory."""

    request_id_header = "x-acs-request-id"

    def __init__(self, config: ServerConfig, faults: Faults) -> None:
        super().__init__(config, faults=faults, latency_ms=config.kms_latency_ms)
        self.store = KeyStore(config.root / "kms", config.clock)
        if not self.store.all_keys():
            self.create_key(DEMO_ALIAS)
        self._authenticator = KmsAuthenticator(config.credentials, config.clock)

    def close(self) -> None:
        """Lets go of the database."""
        self.store.close()

    def create_key(self, alias: str = "") -> str:
        """Makes a key, enabled, with an alias if given; returns its id."""
        key = self.store.create(origin="Aliyun_KMS", description="", protection="SOFTWARE")
        if alias:
            self.store.set_alias(alias, key.id)
        return key.id

    # What the OSS asks for within this process

    def key_id(self, name: str) -> str:
        """The id of the key that an id, an ARN or an alias names. Raises KmsError."""
        return self._call({"KeyId": name}).key(aliases=True).id

    def key_of(self, blob: str) -> str:
        """The id of the key that opens *blob*. Raises KmsError Forbidden.KeyNotFound."""
        found = self._key_asked_for({"CiphertextBlob": blob})
        if not found:
            raise KmsError("Forbidden.KeyNotFound")
        return found

    def wrap(self, key_id: str, data_key: bytes) -> str:
        """A CiphertextBlob under the newest version of the key. Raises KmsError."""
        self._refuse_by_rule("GenerateDataKey", key_id)
        call = self._call({"KeyId": key_id})
        version = self.store.primary(call.usable_key().id)
        return ciphers.sealed(version, b64encode(data_key).decode(), call.context())

    def unwrap(self, blob: str) -> bytes:
        """What *wrap* made the blob of. Raises KmsError."""
        self._refuse_by_rule("Decrypt", self.key_of(blob))
        call = self._call({"CiphertextBlob": blob})
        return b64decode(ciphers.opened(call, call.context())[0])

    def _refuse_by_rule(self, action: str, key: str) -> None:
        """These calls come from no client and stand in no journal, but fault rules may refuse."""
        for rule in self.faults.of(action, key):
            if refusal := refusal_of(rule):
                raise refusal

    def _call(self, parameters: Mapping[str, str]) -> Call:
        return Call(
            parameters=parameters,
            store=self.store,
            region=self.config.region,
            now=int(self.config.clock()),
        )

    # Requests

    def request_ids(self) -> Iterator[str]:
        """UUIDs."""
        return iter(lambda: str(uuid.uuid4()), "")

    def ask(self, connection: Connection, head: Head, request_id: str) -> _KmsAsked:
        """Makes the record of a request."""
        query = query_of(head.target.partition(b"?")[2])
        return _KmsAsked(connection=connection, head=head, request_id=request_id, query=query)

    async def identify(self, asked: _KmsAsked) -> None:
        """Reads the body, which may hold the parameters. Raises KmsError."""
        pieces = bytearray()
        while (piece := await asked.connection.next_piece()) is not None:
            pieces += piece
            if len(pieces) > _MAX_BODY_BYTES:
                raise invalid("body")
        asked.body = bytes(pieces)
        asked.form = query_of(asked.body)
        parameters = {**asked.query, **asked.form}
        asked.operation = asked.head.headers.get("x-acs-action") or parameters.get("Action", "")
        asked.key = self._key_asked_for(parameters)

    def _key_asked_for(self, parameters: dict[str, str]) -> str:
        """For journal and fault rules: the key as the client names it, or of the blob."""
        for name in ("KeyId", "DestinationKeyId", "AliasName"):
            if name in parameters:
                return parameters[name]
        try:
            blob = b64decode(parameters.get("CiphertextBlob", ""))
        except (binascii.Error, ValueError):
            return ""
        identity = ciphers.version_of(blob)
        version = self.store.version(identity) if identity else None
        return version.key if version else ""

    def refusal_of(self, rule: FaultRule) -> KmsError | None:
        """The error a fault rule answers with."""
        return refusal_of(rule)

    async def perform(self, asked: _KmsAsked) -> Response:
        """Checks the signature and does what is asked. Raises KmsError."""
        handler, parameters = self._handler(asked), {**asked.query, **asked.form}
        credential = self._authenticator.check(
            SignedRequest(
                method=asked.head.method,
                query=asked.query,
                form=asked.form,
                headers=asked.head.headers,
                body=asked.body,
            )
        )
        if asked.operation in credential.kms_denied:
            raise KmsError("Forbidden.NoPermission")
        if parameters.get("DryRun", "").lower() == "true":
            raise KmsError("UnsupportedOperation")
        try:
            answer = await handler(self._call(parameters))
        except (KmsError, ClientGoneError):
            raise
        except Exception:  # whatever fails here fails one request, not the server
            log.exception("%s failed", asked.operation)
            raise KmsError("InternalFailure") from None
        return _json(200, {**answer, "RequestId": asked.request_id})

    def _handler(self, asked: _KmsAsked) -> Handler:
        if asked.head.method not in {"GET", "POST"}:
            raise KmsError("UnsupportedHTTPMethod")
        if not asked.operation:
            raise missing("Action")
        version = asked.head.headers.get("x-acs-version") or asked.query.get("Version")
        handler = HANDLERS.get(asked.operation)
        if handler is None or (version or asked.form.get("Version")) != _VERSION:
            raise invalid("Action or Version")
        return handler

    def refuse(self, asked: _KmsAsked, refusal: Refusal) -> Response:
        """The error in JSON."""
        return _json(
            refusal.status,
            {
                "HttpStatus": refusal.status,
                "Code": refusal.code,
                "Message": refusal.message,
                "RequestId": asked.request_id,
                "HostId": asked.head.headers.get("host", ""),
            },
        )

    def damage(self, rules: list[FaultRule], response: Response) -> int | None:
        """Acts on any answer."""
        body, cut_after = (
            bytearray(response.body if isinstance(response.body, bytes) else b""),
            None,
        )
        for rule in rules:
            if rule.corrupt is not None and rule.corrupt < len(body):
                body[rule.corrupt] ^= 1
            if rule.truncate is not None:
                cut_after = rule.truncate
        response.body = bytes(body)
        return cut_after


def _json(status: int, content: Answer) -> Response:
    return Response(
        status=status,
        headers={"Content-Type": "application/json;charset=utf-8"},
        body=json.dumps(content).encode(),
    )
