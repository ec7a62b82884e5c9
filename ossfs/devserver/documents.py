"""XML as OSS writes and reads it."""

import datetime as dt
from collections.abc import Iterable
from html import escape
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ossfs.devserver.errors import OssError

ACCOUNT = "1000000000000001"
"""The id of the one account, which owns everything."""

OWNER = f"<Owner><ID>{ACCOUNT}</ID><DisplayName>{ACCOUNT}</DisplayName></Owner>"


def leaf(tag: str, value: object) -> str:
    """One element with text."""
    return f"<{tag}>{escape(str(value), quote=False)}</{tag}>"


def flag(tag: str, value: bool) -> str:
    """One element that says true or false."""
    return f"<{tag}>{'true' if value else 'false'}</{tag}>"


def document(root: str, children: Iterable[str]) -> bytes:
    """A whole document around built elements; surrogates stand for bytes that are not UTF-8."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{"".join(children)}</{root}>'
    return text.encode("utf-8", "surrogateescape")


def iso_time(seconds: int) -> str:
    """As OSS writes times into documents."""
    when = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Names:
    """Writes object names plainly or, with encoding-type=url, percent-encoded."""

    def __init__(self, encoding_type: str | None) -> None:
        if encoding_type not in {None, "", "url"}:
            raise OssError("InvalidArgument", "Invalid Encoding Method specified in Request.")
        self.encoded = encoding_type == "url"

    def leaf(self, tag: str, name: str) -> str:
        """One element that holds a name."""
        return leaf(tag, quote(name, safe="/") if self.encoded else name)

    def declaration(self) -> str:
        """The element that tells the reader to decode."""
        return "<EncodingType>url</EncodingType>" if self.encoded else ""


def parse(body: bytes, root: str) -> Element:
    """The root element of *body*, which must be called *root*; namespaces are dropped.

    Raises OssError MalformedXML.
    """
    try:
        tree: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError):
        raise OssError("MalformedXML") from None
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    if tree.tag != root:
        raise OssError("MalformedXML")
    return tree


def text_of(element: Element, tag: str) -> str:
    """Text of the child *tag*; raises OssError MalformedXML if there is none."""
    child = element.find(tag)
    if child is None:
        raise OssError("MalformedXML")
    return child.text or ""
