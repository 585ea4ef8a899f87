"""`python -m digest.sample serve`: the sample blog, until it is told to stop."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from digest.sample.blog import read_anchor
from digest.sample.live import go_live
from digest.sample.server import HOST, SampleServer, utc_now
from digest.sample.tour import PORT, TourError, take_tour

USAGE_ERROR = 2
LAST_PORT = 65535


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the blog or take the tour; the exit code says whether it could."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except (OSError, OverflowError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else error
        return _refuse(
            f"cannot listen on {HOST}:{options.port} ({why}); "
            f"stop what uses it or choose another port: {options.cure}{_other(options.port)}"
        )


def _serve(options: argparse.Namespace) -> int:
    try:
        anchor = read_anchor(options.anchor_file, utc_now())
    except (ValueError, OSError) as error:
        return _refuse(f"cannot use {options.anchor_file} as the anchor file: {error}")
    server = SampleServer(anchor=anchor, port=options.port)
    server.start()
    _wait(server)
    return 0


def _tour(options: argparse.Namespace) -> int:
    try:
        take_tour(options.home, options.port)
    except TourError as error:
        return _refuse(str(error), 1)
    return 0


def _up(options: argparse.Namespace) -> int:
    return go_live(options.home.resolve(), options.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m digest.sample", description=__doc__)
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve the blog")
    serve.add_argument(
        "--anchor-file", type=Path, required=True, help="keeps the time of the first start"
    )
    serve.add_argument("--port", type=int, default=PORT, help="0 takes any free port")
    serve.set_defaults(run=_serve, cure="--port ")
    tour = commands.add_parser("tour", help="do the main job once on the blog")
    tour.add_argument("--home", type=Path, default=Path(), help="holds config/ and templates/")
    tour.add_argument("--port", type=int, default=PORT)
    tour.set_defaults(run=_tour, cure="make run PORT=")
    up = commands.add_parser("up", help="run all of digest on the blog until Ctrl-C")
    up.add_argument("--home", type=Path, default=Path(), help="holds config/, flows/ and deploy/")
    up.add_argument("--port", type=int, default=PORT, help="of the blog")
    up.set_defaults(run=_up, cure="make up PORT=")
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


def _refuse(message: str, code: int = USAGE_ERROR) -> int:
    sys.stderr.write(f"digest.sample: {message}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
