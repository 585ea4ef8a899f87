"""A site with something of everything, its pages behind a door, and what means something there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select

from digest import editors
from digest.readers.tokens import make_token
from digest.settings import load_config
from digest.store import accounts, tables
from digest.web import guard
from digest.web.app import make_app
from fakes.asgi import Answer, Door

PASSWORD = "a long enough password"
LINKS = "http://127.0.0.1:8780"


class Site:
    """A house with posts, issues and readers, and its door."""

    def __init__(self, house: Any) -> None:
        self.house = house
        # Nobody's Prefect is asked.
        house.configure("DIGEST_PREFECT_PORT:-4200", "NO_PORT:-9", "flows.toml")
        # So that the limits of one client are not met: each request comes from another one.
        house.configure("trusted_proxies = []", 'trusted_proxies = ["127.0.0.1"]', "site.toml")
        self.open()
        house.post()
        house.post()
        for name in ("ann", "bob", "cid", "dora"):
            house.reader(name)
        house.reader("pia", confirmed=False)
        sent = house.freeze()
        house.deliver(sent.id)
        house.post()
        house.post()
        house.turn(days=7)
        self.draft = house.draft()
        self.issues = (sent, self.draft)
        self.asked = 0
        self.cookie_name = "digest-desk"
        editors.add_editor(self.app.store, "Maya", "editor", PASSWORD, self.app.clock())
        self.sensible = self._sensible()
        self.sign_in()

    def open(self) -> None:
        """Serve the pages with config as it stands now."""
        self.app = replace(self.house.app, config=load_config(self.house.app.home, {}))
        self.house.app = self.app
        self.door = Door(make_app(self.app))

    def close(self) -> None:
        self.door.close()

    def sign_in(self) -> None:
        """Begin a new session: one may have been signed out."""
        signed = editors.sign_in(self.app.store, "Maya", PASSWORD, self.app.clock())
        assert signed
        self.cookie = signed.token
        self.sensible["csrf"] = [guard.csrf_of(self.cookie)]

    def _sensible(self) -> dict[str, list[str]]:
        """What means something, by the name of a parameter or field."""
        now, secret, ids = self.app.clock(), self.app.secret, self.house.subscriptions
        wish = {"address": "new@example.org", "newsletter": "weekly", "consent": "yes"}
        self.ask("POST", "/sign-up", form_body(wish))
        leaving = make_token(secret, "unsubscribe", ids["ann"])
        #: By the first part of the addresses that take them.
        self.tokens = {
            "u": leaving,
            "s": leaving,
            "c": make_token(secret, "opt-in", ids["pia"], now),
            "join": make_token(secret, "sign-up", 1, now),
            "me": make_token(secret, "settings", 1, now),
            "preview": make_token(secret, "preview", self.draft.id),
        }
        others = [make_token(secret, "unsubscribe", ids["bob"]), "PREVIEW", "TEST"]
        #: To be tried anywhere.
        self.anywhere = [*self.tokens.values(), *others]
        return {
            "newsletter": ["weekly"],
            "scope": ["all", "series-ipc"],
            "period": [issue.period for issue in self.issues],
            "issue": [str(issue.id) for issue in self.issues],
            "slug": ["ipc", "funding"],
            "thread": ["1"],
            "channel": ["x"],
            "address": ["ann@example.org", "new@example.org", "a@b@c"],
            "seen": [self.draft.hash],
            "decision": ["approve"],
            "state": ["submitted", "pending", "draft", "done"],
            "sure": ["yes"],
            "what": ["everything", "chosen"],
            "interest": ["series:ipc", "theme:funding"],
            "rhythm": ["weekly", "monthly", "each-post"],
            "consent": ["yes"],
            "for": ["1", "2027-01-01"],
            "page": ["1", "2", str(2**63 - 1)],
            "mask": ["0", "1", "3"],
            "cap": ["", "1", "7"],
            "name": ["Maya"],
            "password": [PASSWORD],
            "next": ["/desk/issues", "//elsewhere.example"],
            "to": ["maya@example.org"],
            "drop": ["1"],
            "mailer": ["local"],
            "view": ["dark", "light"],
            "done": ["saved"],
        }

    def ask(
        self,
        method: str,
        target: str,
        body: Any = b"",
        *,
        desk: bool = False,
        headers: Any = (),
        **how: Any,
    ) -> Answer:
        """Ask for a page, each time as another client; `desk`: signed in."""
        self.asked += 1
        number = f"10.{self.asked >> 16}.{self.asked >> 8 & 255}.{self.asked & 255}"
        given = [("x-forwarded-for", number), *headers]
        if not any(name.lower() == "content-type" for name, _ in headers):
            given.append(("content-type", "application/x-www-form-urlencoded"))
        if desk:
            given.append(("cookie", f"{self.cookie_name}={self.cookie}"))
        return self.door.ask(method, target, given, body, **how)

    def address(self, path: str, **changes: str) -> str:
        """The address of a page, with what means something in its path."""
        words = {
            **{name: given[0] for name, given in self.sensible.items()},
            "token": self.tokens.get(path.split("/")[1], ""),
            **({"scope": "series-ipc"} if path.startswith("/archive") else {}),
            **changes,
        }
        made = path.replace(":int", "").format(**words)
        # A look is signed.
        query = self.house.look_path().partition("?")[2] if path.startswith("/look") else ""
        return f"{made}?{query}" if query else made

    def dump(self) -> dict[str, list[Any]]:
        """Every row of every table but the sessions', in which a look is noted."""
        found: dict[str, list[Any]] = self.house.dump()
        return {name: rows for name, rows in found.items() if name != "sessions"}

    def bystanders(self) -> list[Any]:
        """The readers whose tokens nobody holds."""
        s = tables.subscriptions
        ids = [self.house.subscriptions[name] for name in ("cid", "dora")]
        query = select(s, tables.subscribers).join(tables.subscribers).where(s.c.id.in_(ids))
        with self.app.store.read() as c:
            return [tuple(row) for row in c.execute(query.order_by(s.c.id))]

    def balanced(self) -> bool:
        with self.app.store.read() as c:
            return all(accounts.account(c, issue.id).balanced for issue in self.issues)


def form_body(fields: Any) -> bytes:
    if not isinstance(fields, dict):
        return b"" if fields is None else str(fields).encode(errors="replace")
    pairs = [
        (name, str(value).encode(errors="surrogatepass"))
        for name, given_ in fields.items()
        for value in (given_ if isinstance(given_, list) else [given_])
    ]
    return urlencode([(name.encode(errors="surrogatepass"), v) for name, v in pairs]).encode()
