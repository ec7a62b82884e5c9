"""Pipelines between files and objects: what is staged becomes stored versions, and these are read.

uploader    `Uploader`: frozen file → new version; marker objects
opener      `Opener`: key → accepted headers and an `ObjectReader`
reader      `ObjectReader`: content of one stored version at any offset
copier      `Copier`: stored versions again, under another key or with other attributes
pool        `ReadPool`: what all readers of a mount share
convert     a package: stored objects under another encryption
describing  listings with what HEAD says of each object
sending     `Sender`: what all writers share; one PutObject, or a multipart upload
limits      `TransferLimits`: memory, requests and threads in use at once

below these
ciphertext  the stored form of frozen content, in two passes
opening     what an answer of OSS is, and which key opens it
restoring   stored bytes as a source for sending
sidecar     server-side encryption of the tags that are an object of their own
version     one accepted version: check and decrypt its chunks
tagsource   authentic tags from headers or sidecar
streams     which bytes to fetch ahead
parallel    several things at once, one error

Whatever opens a nursery here returns or raises one OssfsError, never a group.
"""
