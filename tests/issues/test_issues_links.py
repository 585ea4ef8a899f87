"""UTM parameters go on the blog's own links, once, and change nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.issues.links import with_utm
from digest.issues.specimen import specimens

CONTENT = replace(
    specimens("weekly")[0],
    site_url="https://Blog.example",
    own_hosts=("shop.example",),
    utm=(("utm_source", "digest"), ("utm_medium", "e mail")),
)
UTM = "utm_source=digest&utm_medium=e+mail"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://blog.example/a/", f"https://blog.example/a/?{UTM}"),
        ("https://blog.example", f"https://blog.example/?{UTM}"),
        ("http://BLOG.example:8080/a", f"http://BLOG.example:8080/a?{UTM}"),
        ("https://shop.example/", f"https://shop.example/?{UTM}"),
        ("https://blog.example/?p=7", f"https://blog.example/?p=7&{UTM}"),
        (
            "https://blog.example/a?q=%20+&q=#part-2",
            f"https://blog.example/a?q=%20+&q=&{UTM}#part-2",
        ),
        (
            "https://blog.example/?utm_source=mine",
            "https://blog.example/?utm_source=mine&utm_medium=e+mail",
        ),
        (
            "https://blog.example/?utm_medium=&utm_source=",
            "https://blog.example/?utm_medium=&utm_source=",
        ),
    ],
)
def test_own_links_get_what_they_lack(url: str, expected: str) -> None:
    assert with_utm(url, CONTENT) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://blog.example.evil.example/",
        "https://evil.example/https://blog.example/",
        "https://blog.example@evil.example/",
        "mailto:editors@blog.example",
        "ftp://blog.example/",
        "javascript:alert(1)",
        "https://[blog.example/",
        "/a/",
        "#top",
        "",
    ],
)
def test_all_other_links_stay_as_they_are(url: str) -> None:
    assert with_utm(url, CONTENT) == url


def test_without_parameters_nothing_changes() -> None:
    assert with_utm("https://blog.example", replace(CONTENT, utm=())) == "https://blog.example"


@settings(deadline=None)
@given(st.text(max_size=80))
def test_twice_is_once(rest: str) -> None:
    once = with_utm(f"https://blog.example/{rest}", CONTENT)
    assert with_utm(once, CONTENT) == once
