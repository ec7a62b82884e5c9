"""Builds everything from the configuration: the only place that knows all parts.

mount        `run_mount`: a mount from its beginning to its end
parts        `build_filesystem`: a file system on a bucket
protections  what new files get, and which keys that takes
clients      what talks to OSS and to the KMS; needs no kernel
checks       what is found out before anything is mounted
"""
