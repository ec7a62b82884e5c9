"""ossfs: an OSS bucket as a directory whose files are encrypted before they leave the machine.

Imports go down only (import-linter checks it):

    cli          one module per command
    compose      builds everything from the configuration   | devserver  the embedded OSS
    fuse         thin pyfuse3 adapter and mount session
    vfs          POSIX meaning: inodes, names, handles, operations
    transfer     pipelines: frozen file to object, object to plaintext
    staging | cache | keys | store
    format       what stands in headers, tags and key names
    crypto | config
    errors | log | types
"""

__version__ = "0.1.0"
