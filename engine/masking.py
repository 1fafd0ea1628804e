"""Secrets out of text: what every error, log line, catalog entry and screen passes through."""

from __future__ import annotations

import re

MASK = "***"

# A password may hold '@', ':' and '/': everything up to the last '@' of the word is taken for it.
_URL_PASSWORD = re.compile(r"(?P<head>\b[A-Za-z][\w+.-]*://[^\s:/@'\"]*:)[^\s'\"]*(?=@)")
_NAMED_SECRET = re.compile(
    r"(?P<head>\b(?:password|passwd|pwd|secret|token|api_?key)\s*=\s*)(?:'[^']*'|\"[^\"]*\"|[^\s;&,)]+)",
    re.IGNORECASE,
)


def mask_secrets(text: str) -> str:
    """Return `text` with passwords in URLs and `password=…` pairs replaced by `***`.

    >>> mask_secrets("cannot reach postgresql://ann:p@ss/word@db:5432/sales")
    'cannot reach postgresql://ann:***@db:5432/sales'
    >>> mask_secrets("host=db password=hunter2 dbname=sales")
    'host=db password=*** dbname=sales'
    """
    return _NAMED_SECRET.sub(rf"\g<head>{MASK}", _URL_PASSWORD.sub(rf"\g<head>{MASK}", text))
