"""The kernel's side of a mount; the only package that knows pyfuse3.

operations  requests in, calls of the file system out
boundary    no exception but an errno leaves a handler
session     one mount from its beginning to its end
control     the socket on which other commands talk to a mount
"""
