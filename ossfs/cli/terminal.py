"""Text of a server or of a bucket as it may stand on a terminal."""


def printable(text: str) -> str:
    """*text* in one line: what would move the cursor or begin a command stands as an escape."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
