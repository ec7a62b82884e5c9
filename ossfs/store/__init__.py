"""The object store: the seam (`base`), OSS over HTTP (`oss`) and a bucket in memory (`memory`).

oss          operations; decides what an unclear attempt has done   → client, call, answer, pending
client       sign, send, repeat                                     → signing, signing_v1, retry
transport    connections to the server                              → connection, incoming, wire
memory       the twin for tests and benchmarks                      → memory_upload
rules, refusal, xml, address, crc64                                 what both halves know of OSS
"""
