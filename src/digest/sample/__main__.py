"""`python -m digest.sample serve`: the sample blog, until it is told to stop."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from digest.sample.blog import read_anchor
from digest.sample.server import HOST, SampleServer, utc_now

USAGE_ERROR = 2
PORT = 8765
LAST_PORT = 65535


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the blog; the exit code says whether it could."""
    options = _parser().parse_args(argv)
    try:
        server = SampleServer(anchor=read_anchor(options.anchor_file, utc_now()), port=options.port)
    except (ValueError, OSError) as error:
        return _refuse(f"cannot use {options.anchor_file} as the anchor file: {error}")
    try:
        server.start()
    except (OSError, OverflowError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
        return _refuse(
            f"cannot listen on {HOST}:{options.port} ({why}); "
            f"stop what uses it or choose another port: --port {_other(options.port)}"
        )
    _wait(server)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m digest.sample", description=__doc__)
    serve = parser.add_subparsers(required=True).add_parser("serve", help="serve the blog")
    serve.add_argument(
        "--anchor-file", type=Path, required=True, help="keeps the time of the first start"
    )
    serve.add_argument("--port", type=int, default=PORT, help="0 takes any free port")
    return parser


def _wait(server: SampleServer) -> None:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    print(f"sample blog on {server.url}/", flush=True)  # noqa: T201 - the one line promised
    stop.wait()
    server.stop()


def _other(port: int) -> int:
    return port + 1 if 0 < port < LAST_PORT else PORT


def _refuse(message: str) -> int:
    sys.stderr.write(f"digest.sample: {message}\n")
    return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
