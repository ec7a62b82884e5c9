"""The embedded KMS: API 2016-01-20 for symmetric keys, beside the embedded OSS in one process.

Keys of both origins, aliases, versions, import of material and the cryptographic actions. What the
real one offers beyond that (asymmetric keys, secrets, certificates, instances) is refused with
UnsupportedOperation or as an unknown action. Unlike the real one, it makes a further version of a
symmetric key whenever asked.
"""
