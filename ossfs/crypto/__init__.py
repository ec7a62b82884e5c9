"""Pure cryptography of the object format and of local scratch files: bytes in, bytes out, no I/O.

datakey   `DataKey`: the secret of one content version, and everything derived from it
body      `BodyCipher`: AES-256-CTR at any offset
tags      chunk geometry, `ChunkTagger`, pages, tagsum, head, `SidecarLayout`
scratch   `ScratchCipher`: authenticated blocks of local scratch files
"""
