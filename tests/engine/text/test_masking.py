from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.text.masking import mask_secrets


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ann:hunter2@db:5432/sales",
        "postgresql+psycopg://ann:p@ss/hunter2:x@db/sales",
        "mysql://:hunter2@db",
        "https://user:hunter2@proxy.example:8080/path?x=1",
        "s3://key:hunter2@bucket/object",
        "host=db user=ann password=hunter2 dbname=sales",
        "PASSWORD=hunter2",
        "password = 'hunter2 with spaces'",
        'password="hunter2; more"',
        "pwd=hunter2;uid=ann",
        "passwd=hunter2",
        "token=hunter2",
        "api_key=hunter2",
        "apikey=hunter2",
        "api-key=hunter2",
        "secret=hunter2",
        "https://api.example/v1?access_token=hunter2&page=2",
        "https://api.example/v1?client_secret=hunter2",
        "aws_secret_access_key=hunter2",
        "sslpassword=hunter2",
        "PGPASSWORD=hunter2 psql",
        "{'user': 'ann', 'password': 'hunter2'}",
        '{"api_key": "hunter2", "page": 2}',
        "connect(password='hunter2')",
        "Authorization: Bearer hunter2",
    ],
)
def test_a_secret_does_not_get_through(text):
    masked = mask_secrets(text)
    assert "hunter2" not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch 3 failed",
        "https://example.com:8080/a/b?c=d",
        "https://user@example.com/path",
        "mail ann@example.com about it",
        "column 'password' (String) is missing",
        "the token expired",
        "keywords=3",
        "C:\\data\\file.csv",
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask_secrets(text) == text


def test_what_stands_around_a_secret_stays():
    assert mask_secrets("can't reach postgresql://ann:hunter2@db:5432/sales (timeout)") == (
        "can't reach postgresql://ann:***@db:5432/sales (timeout)"
    )
    assert mask_secrets("host=db password=hunter2 dbname=sales") == "host=db password=*** dbname=sales"


def test_two_urls_in_one_text_are_both_masked():
    masked = mask_secrets("copied pg://a:hunter2@one/x to pg://b:hunter2@two/y")
    assert masked == "copied pg://a:***@one/x to pg://b:***@two/y"


@given(st.text())
def test_masking_twice_is_masking_once(text):
    once = mask_secrets(text)
    assert mask_secrets(once) == once


@given(st.text(alphabet="abcXYZ019@:/_-.", min_size=1))
def test_no_password_of_a_url_gets_through(password):
    masked = mask_secrets(f"pg://ann:{password}@db.example:5432/sales")
    assert masked == "pg://ann:***@db.example:5432/sales"


@pytest.mark.parametrize(
    "text",
    ["a." * 50_000, "x://" * 2_000, "token " * 20_000, "password='" * 10_000],
    ids=["dots", "urls", "words", "quotes"],
)
def test_long_texts_are_masked_in_time(text):
    started = time.thread_time()
    mask_secrets(text)
    assert time.thread_time() - started < 2
