"""Masks secrets in text. Every error, log line, catalog entry and screen uses it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable

MASK = "***"

# A password may contain '@', ':' and '/': it ends before the last '@' of the word. Words are searched one by one, and
# the length of a scheme is limited: otherwise the time would grow with the square of the length of the text.
_WORD = re.compile(r"[^\s'\"]+")
_URL_HEAD = re.compile(r"\b[A-Za-z][\w+.-]{0,30}://[^\s:/@'\"]*:")
# The word may have a prefix: access_token, PGPASSWORD. A value after a colon is a secret only if the key is quoted:
# "the token: it expired" has no secret. Quotes may be escaped, as in the repr of a repr or JSON in JSON.
_NAMED_SECRET = re.compile(
    r"(?P<head>(?:password|passwd|pwd|secret|token|signature|(?:api|access|account|private|secret)[_-]?key)"
    r"(?:\s*=\s*|\\{0,8}['\"]\s*[:=]\s*))"
    r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\\{1,8}['\"][^'\"\\]*|[^\s;&,)}\]]+)",
    re.IGNORECASE | re.DOTALL,
)
_AUTHORIZATION = re.compile(
    r"(?P<head>\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer)\s+)[^\s'\"]+", re.IGNORECASE
)
_PATTERNS = (_NAMED_SECRET, _AUTHORIZATION)


_kept: dict[str, re.Pattern[str]] = {}
_SHORTEST = 4


def keep_secret(secret: str | None) -> None:
    """From now on, mask this text where it is a whole word, also as libraries print it: in URLs, reprs and JSON.

    A secret of fewer than four characters is left to the patterns, because it would be found everywhere.
    """
    for text in _forms(secret) if secret else ():
        if len(text) >= _SHORTEST and text not in _kept:
            _kept[text] = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


def keep_password_of(url: str) -> None:
    """Keep the password in a URL, and its end after an '@' that isn't escaped, which libraries take for the host."""
    head = _URL_HEAD.search(url)
    password = url[head.end() : url.rfind("@")] if head and "@" in url[head.end() :] else ""
    keep_secret(password)
    while "@" in password:
        password = password.partition("@")[2]
        keep_secret(password)


def _forms(secret: str) -> set[str]:
    quoted = {quote(secret, safe=""), quote(secret, safe=" +"), quote(secret), quote_plus(secret)}
    once = {escape(secret) for escape in _ESCAPES}
    twice = {escape(form) for form in once for escape in _ESCAPES}  # the repr of a repr, JSON in JSON
    return {secret, *quoted, *once, *twice}


_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: repr(text)[1:-1],
    lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),  # repr of a longer text with both quotes in it
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
)


def _mask_url(word: re.Match[str]) -> str:
    text = word[0]
    last = text.rfind("@")
    head = _URL_HEAD.search(text, 0, last + 1) if last >= 0 else None
    return text if head is None else f"{text[: head.end()]}{MASK}{text[last:]}"


def mask_secrets(text: str) -> str:
    """Return `text` with `***` in place of passwords in URLs, of values in `password=…` and of similar secrets.

    >>> mask_secrets("cannot reach postgresql://ann:p@ss/word@db:5432/sales")
    'cannot reach postgresql://ann:***@db:5432/sales'
    >>> mask_secrets("host=db password=hunter2 dbname=sales")
    'host=db password=*** dbname=sales'
    """
    for known in sorted(_kept, key=len, reverse=True):  # before the patterns, which would hide the end of some
        if known in text:
            text = _kept[known].sub(MASK, text)
    if "://" in text:
        text = _WORD.sub(_mask_url, text)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<head>{MASK}", text)
    return text
