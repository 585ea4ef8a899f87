"""The sample blog for its callers: everything that is a pure function of posts and time."""

from digest.sample.archive import (
    Edit,
    SamplePost,
    as_of,
    load_posts,
    modified_at,
    parse_post,
    path_of,
    published_at,
    read_anchor,
    visible,
)
from digest.sample.bodies import BLOG_NAME, words
from digest.sample.feed import GUID_BASE, PER_PAGE, TAGLINE, feed_modified, feed_page
from digest.sample.pages import home_page, image_url, missing_page, post_page

__all__ = [
    "BLOG_NAME",
    "GUID_BASE",
    "PER_PAGE",
    "TAGLINE",
    "Edit",
    "SamplePost",
    "as_of",
    "feed_modified",
    "feed_page",
    "home_page",
    "image_url",
    "load_posts",
    "missing_page",
    "modified_at",
    "parse_post",
    "path_of",
    "post_page",
    "published_at",
    "read_anchor",
    "visible",
    "words",
]
