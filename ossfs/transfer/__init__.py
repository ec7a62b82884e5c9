"""Pipelines between files and objects: what is staged becomes stored versions, and these are read.

uploader    `Uploader`: frozen file → new version; marker objects
opening     `open_object`: key → accepted headers and an `ObjectReader`
reader      `ObjectReader`: content of one stored version at any offset
copying     `copy_object`: server-side, streamed where the server will not
reupload    `reupload`: the same ciphertext again, with other attributes
pool        `ReadPool`: what all readers of a mount share
limits      `TransferLimits`: memory, requests and threads in use at once

below these
ciphertext  the stored form of frozen content, in two passes
sending     one PutObject, or a multipart upload
restoring   stored bytes as a source for sending
version     one accepted version: check and decrypt its chunks
tagsource   authentic tags from headers or sidecar
streams     which bytes to fetch ahead
parallel    several things at once, one error

Whatever opens a nursery here returns or raises one OssfsError, never a group.
"""
