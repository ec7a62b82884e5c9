"""Names, headers and tags of objects in the bucket, as docs/format.md describes them. Pure.

names       components, keys, sidecar keys
envelope    `Envelope`: wrapped data key and IV, in the headers of the SDKs
deprecated  the envelope of oss2 2.9 and older
seal        `Seal`: our authenticity headers
contents    `classify`: plain, foreign or our own, from the headers alone
attributes  `Attributes`: mode, owner, times, xattrs, in headers and object tags
xattrs      the JSON form of user xattrs
budget      the 8 KB that all headers share
fields      strict text forms that the others use

"metadata" is always a mapping of x-oss-meta- names without that prefix, in lower case. Whatever is
parsed here is hostile input: the only errors that come out are the documented ones.
"""
