"""Masks secrets in text. Every error, log line, catalog entry and screen uses it."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

MASK = "***"

# A password may contain '@', ':' and '/': it ends before the last '@' of the word. The length of the scheme is limited,
# because otherwise a long text of "a.a.a." would be searched from each of its letters.
_URL_PASSWORD = re.compile(r"(?P<head>\b[A-Za-z][\w+.-]{0,30}://[^\s:/@'\"]*:)[^\s'\"]*(?=@)")
# The word may have a prefix: access_token, PGPASSWORD. A value after a colon is a secret only if the key is quoted:
# "the token: it expired" has no secret.
_NAMED_SECRET = re.compile(
    r"(?P<head>(?:password|passwd|pwd|secret|token|signature|(?:api|access|account|private|secret)[_-]?key)"
    r"(?:\s*=\s*|['\"]\s*[:=]\s*))(?:'[^']*'|\"[^\"]*\"|[^\s;&,)}\]]+)",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(?P<head>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer)\s+)[^\s'\"]+", re.IGNORECASE
)
_PATTERNS = (_URL_PASSWORD, _NAMED_SECRET, _AUTHORIZATION)


_kept: dict[str, re.Pattern[str]] = {}
_SHORTEST = 4


def keep_secret(secret: str | None) -> None:
    """From now on, mask this text where it is a whole word, also in the form that it has in a URL.

    A secret of fewer than four characters is left to the patterns, because it would be found everywhere.
    """
    for text in (secret, quote(secret, safe=""), quote_plus(secret)) if secret else ():
        if text and len(text) >= _SHORTEST and text not in _kept:
            _kept[text] = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


def mask_secrets(text: str) -> str:
    """Return `text` with `***` in place of passwords in URLs, of values in `password=…` and of similar secrets.

    >>> mask_secrets("cannot reach postgresql://ann:p@ss/word@db:5432/sales")
    'cannot reach postgresql://ann:***@db:5432/sales'
    >>> mask_secrets("host=db password=hunter2 dbname=sales")
    'host=db password=*** dbname=sales'
    """
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<head>{MASK}", text)
    for known in tuple(_kept.values()):
        text = known.sub(MASK, text)
    return text
