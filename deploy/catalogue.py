"""The one catalogue of deployments: `python deploy/catalogue.py serve|deploy [--home DIR]`.

`serve` runs all flows on this machine; `deploy` hands them to the workers of the pool that
`[prefect] work_pool` names. Both register the same.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from digest.errors import DigestError
from digest.settings import find_home, load_config
from digest.up.connection import read_connection


def main() -> int:
    """Exit codes are those of `digest`: 0 done, 1 unexpected, 2 bad usage or configuration."""
    asked = _arguments()
    try:
        home = find_home(asked.home)
        config = load_config(home)
        connection = read_connection(home, config)
        # Before Prefect is imported, which reads them then; runs of ours inherit them.
        os.environ["DIGEST_HOME"] = str(home)
        os.environ["PREFECT_API_URL"] = connection.api_url
        if connection.auth:
            os.environ["PREFECT_API_AUTH_STRING"] = connection.auth
        from digest_prefect import deploying

        if asked.action == "serve":
            deploying.serve(home, config, _serving)
        else:
            sys.stdout.write(f"deployed {deploying.deploy(home, config)} flows\n")
    except DigestError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Register the flows with Prefect's server.")
    parser.add_argument("action", choices=("serve", "deploy"))
    parser.add_argument("--home", type=Path, help="Default: DIGEST_HOME, or here.")
    return parser.parse_args()


def _serving(flows: int) -> None:
    """Said once all are registered; `digest up` waits for it."""
    sys.stdout.write(f"serving {flows} flows\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
