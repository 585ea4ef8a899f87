"""Sockets that never block: dialled, under TLS, and waited for as `mail.parking` has it."""

from __future__ import annotations

import os
import socket
import ssl
from errno import EINPROGRESS
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from digest.mail.parking import READ, WRITE, aside, ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Result = TypeVar("_Result")
#: What TLS wants of the socket before it can go on, whichever way its user's bytes go.
_WANTED: dict[type[OSError], int] = {ssl.SSLWantReadError: READ, ssl.SSLWantWriteError: WRITE}
#: One of `getaddrinfo`.
_Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]


def dialled(host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first address that answers; each has so long, and so has their look-up.

    Raises OSError: what is said of the last address.
    """
    last = OSError(f"{host} has no address")
    try:
        for address in _addresses(host, port, seconds):
            try:
                return _connected(address, seconds)
            except OSError as error:
                last = error
        raise last
    finally:
        # It knows of this frame, which knows of it.
        del last


def _addresses(host: str, port: int, seconds: float) -> Sequence[_Address]:
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        return look_up(flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        # A name. Where its servers are gone they are waited for longer than any time-out of ours.
        return aside(look_up, seconds)


def _connected(address: _Address, seconds: float) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        _connect(sock, where, seconds)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(sock: socket.socket, where: tuple[Any, ...], seconds: float) -> None:
    number = sock.connect_ex(where)
    if number == EINPROGRESS:
        if not ready(sock, WRITE, seconds):
            raise TimeoutError("timed out")
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))


def verified() -> ssl.SSLContext:
    """TLS with verified certificates, by the authorities that OpenSSL is told of.

    To read them takes tens of milliseconds, in which nothing else moves: once a process.
    """
    return _verified(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@cache
def _verified(file: str | None, folder: str | None) -> ssl.SSLContext:  # noqa: ARG001  its names
    return ssl.create_default_context()


def shaken(sock: socket.socket, host: str, seconds: float) -> ssl.SSLSocket:
    """Go on under TLS, with a certificate of the host's.

    Raises OSError, of which ssl's exceptions are some.
    """
    deadline = monotonic() + seconds
    secure = verified().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        done(secure, secure.do_handshake, READ, deadline)
    except BaseException:
        secure.close()
        raise
    return secure


def done(sock: socket.socket, act: Callable[[], _Result], event: int, deadline: float) -> _Result:
    """Do something with a socket as soon as it can be done; raises TimeoutError at `deadline`.

    `event` is what it is waited for; TLS may want the other one first.
    """
    while True:
        try:
            return act()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            event = _WANTED.get(type(error), event)
        if not ready(sock, event, deadline - monotonic()):
            raise TimeoutError("timed out")
