"""A throw-away cluster for a person or a command: `python -m qianfan_devcluster [--audit] [--crds DIR] [-- command]`.

Without a command it prints how to use the cluster and keeps it until Ctrl-C. With one it runs the command with
KUBECONFIG and PATH set and exits with the command's code.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from qianfan_devcluster.binaries import BinariesError
from qianfan_devcluster.cluster import Cluster, ClusterError

_GRACE_SECONDS = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    try:
        with Cluster(audit=arguments.audit) as cluster:
            if arguments.crds:
                cluster.install_crds(arguments.crds)
            if arguments.command:
                return _run(arguments.command, cluster)
            _tell(_instructions(cluster))
            threading.Event().wait()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (BinariesError, ClusterError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{error.stderr or error}\n")
        return 1
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m qianfan_devcluster",
        description="A throw-away Kubernetes control plane, until Ctrl-C or the end of a command.",
    )
    parser.add_argument("--audit", action="store_true", help="note every request to the API server (level Metadata)")
    parser.add_argument("--crds", type=Path, metavar="DIR", help="install the CRDs of this folder or file")
    parser.add_argument("command", nargs="*", help="run this, with KUBECONFIG and PATH set, and exit with its code")
    return parser.parse_args(argv)


def _run(command: Sequence[str], cluster: Cluster) -> int:
    """Run the command; a Ctrl-C reaches it through the terminal, so it is waited for, and a SIGTERM is passed on."""
    try:
        process = subprocess.Popen(command, env={**os.environ, **cluster.environment})  # noqa: S603  # the user's own
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    try:
        code = _wait(process)
    except BaseException:
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    return code if code >= 0 else 128 - code


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _instructions(cluster: Cluster) -> str:
    lines = [
        f"A Kubernetes API server listens at {cluster.server}. In another terminal:",
        "",
        f"  export KUBECONFIG={cluster.kubeconfig}",
        f"  export PATH={cluster.binaries.kubectl.parent}:$PATH",
        "  kubectl get namespaces",
        "",
        f"Logs: {cluster.folder}",
    ]
    if cluster.audit_log:
        lines.append(f"Audit log: {cluster.audit_log}")
    return "\n".join([*lines, "Ctrl-C ends it and removes everything."])


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
