"""The embedded OSS and KMS: servers that behave as those of Alibaba Cloud, for tests and demos.

In a thread of its own, for tests and clients that block:

    config = ServerConfig(root=tmp_path)                    # port 0, one random credential
    with RunningServer(config, buckets=["bkt"]) as server:
        server.endpoint, server.region                      # "http://127.0.0.1:4711", "cn-hangzhou"
        server.access_key_id, server.access_key_secret
        server.create_bucket("other")
        server.requests.count("PutObject")                  # also .of(op, key), .all(), .clear()
        server.add_fault("op=PutObject,times=2,status=503") # grammar: module `faults`
        server.kms_endpoint                                 # verifies the same credentials
        server.create_key("alias/new")                      # its id; "alias/ossfs-demo" is there
        server.set_key_enabled(key_id, False), server.delete_key(key_id)
        server.kms_requests.count("Decrypt"), server.add_kms_fault("op=Decrypt,status=429")
        server.rotate_master_key()                          # the one that wraps for AES256
        server.keys("bkt"), server.object_bytes("bkt", "key"), server.object_headers("bkt", "key")

With `ServerConfig(tls=TlsConfig())` both endpoints are https, and `server.ca_bundle` is the file to
trust.

Within a trio program: `server = await nursery.start(serve, config)`; the Server has `endpoint`,
`config`, `requests`, `faults`, `create_bucket`, `keys`, `object_bytes` and `kms`, and ends with its
nursery.

Objects with server-side encryption are encrypted on the disk: for AES256 under master keys of the
server's own (`sse` below `root`), for KMS under its KMS, whose keys decide what can be read.

Data below `root` lasts across restarts; credentials, region and faults come from the configuration.
It shares nothing with the client but `types` and `errors`, so that each tests the other.
"""

from ossfs.devserver.config import Credential, ServerConfig, TlsConfig
from ossfs.devserver.faults import FaultRule
from ossfs.devserver.journal import Journal, RequestRecord
from ossfs.devserver.running import RunningServer
from ossfs.devserver.server import Server, serve

__all__ = [
    "Credential",
    "FaultRule",
    "Journal",
    "RequestRecord",
    "RunningServer",
    "Server",
    "ServerConfig",
    "TlsConfig",
    "serve",
]
