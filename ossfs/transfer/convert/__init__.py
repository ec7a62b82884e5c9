"""Conversion: stored objects under another client-side or server-side encryption, one by one.

converter   `Converter`: everything below a prefix, several objects at a time
conversion  `Conversion`: one object, from the first look at it to the new version in its place
goal        `Goal`: what an object is to be, and whether it is so already
carried     what a new version takes over from the old one
plaintext   content of a stored version in order: staged, or compared with another's
workspace   where new versions stand before they are put in place, and what dead runs left there

Protocol, so that an object is wholly old or wholly new whatever happens: its content is read under
If-Match and staged; the new version goes to a key of its own under `.ossfs/convert/`; it is read
back with nothing remembered and compared with the old one, which is read once more; the old one
must still be there, to the last header and tag; one CopyObject puts the new one in its place. What
another client writes between the last look and that copy is lost: OSS has no compare-and-swap.
"""
