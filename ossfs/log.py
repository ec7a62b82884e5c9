"""Log records: one stream or file, text or JSON; no object names unless asked for."""

import datetime as dt
import json
import logging
import sys
from pathlib import Path


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Names:
    """Decides whether object names may stand in log lines (`--log-names`)."""

    shown = False


def name(key: str) -> str:
    """The key as it may stand in a log line: itself with --log-names, else a placeholder."""
    return repr(key) if Names.shown else "<name>"


def configure(
    *, level: str, to_file: Path | None = None, as_json: bool = False, show_names: bool = False
) -> None:
    """Send records of *level* and above to *to_file*, or to stderr.

    Raises OSError if the file cannot be opened.
    """
    handler: logging.Handler
    if to_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = logging.FileHandler(to_file, encoding="utf-8")
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if as_json else text)
    root = logging.getLogger("ossfs")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
    Names.shown = show_names
