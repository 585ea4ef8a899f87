"""What runs show to editors, as Markdown: drafts with picks and reasons, questions, accounts.

Every word from outside (titles, reasons, subjects) is escaped: it shows as it is, and never
becomes a link, a picture or a heading. No address of a reader stands in any of it.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from digest.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from digest.issues.freeze import Share
    from digest.issues.preview import PickLine, Preview
    from digest.model import Account, Check
    from digest.sending import Sent
    from digest.store.issues import Issue

#: CommonMark 2.4: a backslash before any ASCII punctuation makes it plain text.
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")

#: GitHub's Markdown makes links of bare addresses, escaped or not (GFM 6.9); a word joiner,
#: which nobody sees, keeps them words.
_BARE_LINK = re.compile(r"(?i)(https?(?=:)|www(?=\.)|@)")
_JOINER = "\N{WORD JOINER}"

_SIGNS = {Severity.ERROR: "Error", Severity.WARNING: "Warning", Severity.NOTE: "Note"}


def plain(text: str) -> str:
    """Text from outside as Markdown that shows just that text, on one line."""
    words = _BARE_LINK.sub(rf"\1{_JOINER}", " ".join(text.split()))
    return _PUNCTUATION.sub(r"\\\1", words)


def picks_markdown(lines: Sequence[PickLine]) -> str:
    """What is in and what is out, each with its reason."""
    rows = [
        f"| {line.pick.position if line.pick.is_in else 'out'} | {plain(line.title)}"
        f" | {plain(line.pick.reason)} |"
        for line in lines
    ]
    if not rows:
        return "No post was a candidate.\n"
    return "\n".join(["| # | Post | Why |", "|--:|---|---|", *rows]) + "\n"


def checks_markdown(checks: Iterable[Check]) -> str:
    """The preflight's findings, errors first; empty where there are none."""
    order = list(_SIGNS)
    found = sorted(checks, key=lambda check: order.index(check.severity))
    return "".join(f"- **{_SIGNS[c.severity]}**: {plain(c.message)}\n" for c in found)


def shares_markdown(shares: Sequence[Share], posts: int) -> str:
    """How many readers would get which variant of an issue of so many posts."""
    readers = sum(share.readers for share in shares)
    if not readers:
        return "As things stand nobody would get it.\n"
    if len(shares) == 1:
        less = f" of {shares[0].posts} of the {posts} posts; they had the others"
        return f"**{readers}** recipients, one variant{less if shares[0].posts < posts else ''}.\n"
    rows = [f"| {s.readers} | {s.posts} | {plain(s.subject)} |" for s in shares]
    table = "\n".join(["| Recipients | Posts | Subject |", "|--:|--:|---|", *rows])
    return f"**{readers}** recipients in **{len(shares)}** variants.\n\n{table}\n"


def question_markdown(
    issue: Issue,
    lines: Sequence[PickLine],
    shares: Sequence[Share],
    link: str,
    words: Sequence[str],
) -> str:
    """The text above the form in which an editor decides; `words` are said before all else."""
    findings = checks_markdown(issue.preflight) or "Nothing to remark.\n"
    said = "".join(f"{plain(word)}\n\n" for word in words if word)
    return (
        f"{said}Scroll down to decide.\n\n### {plain(issue.subject)}\n\n"
        f"**[Look at exactly what goes out]({link})**, on a desktop and on a phone.\n\n"
        f"{shares_markdown(shares, sum(line.pick.is_in for line in lines))}\n"
        f"#### Posts\n\n{picks_markdown(lines)}\n"
        f"#### Preflight\n\n{findings}"
    )


def draft_markdown(shown: Preview, text: str, link: str) -> str:
    """A draft, stored or only thought of: what is in it and why, and its text part as sent."""
    if shown.nothing:
        return f"**Nothing to send**: {plain(shown.nothing)}.\n\n{picks_markdown(shown.picks)}"
    findings = checks_markdown(shown.rendered.preflight) or "Nothing to remark.\n"
    return (
        f"### {plain(shown.rendered.subject)}\n\n"
        f"**[Look at exactly what goes out]({link})**\n\n"
        f"{picks_markdown(shown.picks)}\n"
        f"#### Preflight\n\n{findings}\n"
        f"<details><summary>The text part</summary>\n\n{_fenced(text)}\n</details>\n"
    )


def _fenced(text: str) -> str:
    """A block of text as it is; the fence is longer than any within (CommonMark 4.5)."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def account_markdown(sent: Sent, left_out: Mapping[str, int]) -> str:
    """Who got an issue, as the balanced account."""
    issue, account = sent.issue, sent.account
    rows = [f"| {state} | {count} |" for state, count in _counts(account).items() if count]
    out = "".join(f"- Left out: {count}, {plain(reason)}\n" for reason, count in left_out.items())
    return (
        f"### {plain(issue.name)}: {issue.state}\n\n**{plain(issue.subject)}**\n\n"
        + "\n".join(["| State | Deliveries |", "|---|--:|", *rows])
        + f"\n| **recipients** | **{account.recipients}** |\n\n{out}\n{plain(sent.words)}\n"
    )


def _counts(account: Account) -> dict[str, int]:
    return {name: count for name, count in asdict(account).items() if name != "recipients"}
