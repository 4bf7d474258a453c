"""`python -m qianfan_simulator`: serve until SIGINT or SIGTERM; the first line of output is JSON with the URL."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from qianfan_simulator.faults import Fault
from qianfan_simulator.lifecycle import AfterSeconds, Never, Progression, parse_progression
from qianfan_simulator.operations import NAMES
from qianfan_simulator.options import Options
from qianfan_simulator.simulator import Simulator
from qianfan_simulator.world import DEFAULT_KEYS, Key

T = TypeVar("T")


def parse_key(text: str) -> Key:
    """Read `access-key:secret-key[:account]`; raises ValueError."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise ValueError("a key must be ACCESS:SECRET or ACCESS:SECRET:ACCOUNT")
    return Key(*parts)


def _worded(read: Callable[[str], T]) -> Callable[[str], T]:
    """Have argparse print what is wrong with a value: of a ValueError it prints only that there was one."""

    def worded(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return worded


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    flags = argparse.ArgumentParser(prog="python -m qianfan_simulator", description=__doc__)
    flags.add_argument("--host", default="127.0.0.1")
    flags.add_argument("--port", type=int, default=0, help="0: any free port")
    flags.add_argument(
        "--key", type=_worded(parse_key), action="append", metavar="ACCESS:SECRET[:ACCOUNT]",
        help="repeatable; instead of the default keys (or QIANFAN_SIMULATOR_KEYS, separated by spaces)",
    )  # fmt: skip
    flags.add_argument("--train-seconds", type=float, help="a training takes so long, plateau by plateau")
    flags.add_argument("--publish-seconds", type=float)
    flags.add_argument("--pay-after", type=float, help="seconds until somebody pays for a service")
    flags.add_argument("--deploy-seconds", type=float)
    flags.add_argument(
        "--pace", type=_worded(parse_progression), metavar="PROGRESSION",
        help="for all that is not given above: at-once, looks:N (default looks:2) or seconds:T",
    )  # fmt: skip
    flags.add_argument("--v2", choices=("on", "denied", "missing"), default="on")
    flags.add_argument("--list-lag", type=float, default=0.0, help="seconds until lists show a new thing")
    flags.add_argument("--service-generation", choices=("2023", "2024"), default="2024")
    flags.add_argument("--unique-service-names", action="store_true")
    flags.add_argument("--faults", type=Path, help="a JSON file with a list of faults")
    flags.add_argument("--seed", type=int, default=0, help="of the ids")
    flags.add_argument(
        "--signature-clock", choices=("simulated", "either"), default="simulated",
        help="either: accept also what is signed by this machine's clock, as SDKs do, after the clock was advanced",
    )  # fmt: skip
    flags.add_argument("--quiet", action="store_true", help="no access log on stderr")
    return flags


def options_of(args: argparse.Namespace) -> Options:
    """Return the options that the flags ask for."""
    usual = Options()

    def pace(seconds: float | None, default: Progression) -> Progression:
        return AfterSeconds(seconds) if seconds is not None else args.pace or default

    return Options(
        training=pace(args.train_seconds, usual.training),
        stopping=pace(None, usual.stopping),
        publishing=pace(args.publish_seconds, usual.publishing),
        payment=AfterSeconds(args.pay_after) if args.pay_after is not None else Never(),
        deploying=pace(args.deploy_seconds, usual.deploying),
        updating=pace(args.deploy_seconds, usual.updating),
        v2=args.v2,
        list_lag=args.list_lag,
        service_generation=args.service_generation,
        unique_service_names=args.unique_service_names,
        signature_clock=args.signature_clock,
    )


def main() -> None:
    """Serve until told to stop."""
    flags = parser()
    args = flags.parse_args()
    if not args.quiet:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        from_environ = [parse_key(text) for text in os.environ.get("QIANFAN_SIMULATOR_KEYS", "").split()]
        options, faults = options_of(args), _script(args.faults) if args.faults else []
    except ValueError as error:
        flags.error(str(error))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    keys = args.key or from_environ or DEFAULT_KEYS
    simulator = Simulator(options, keys=keys, seed=args.seed, host=args.host, port=args.port)
    simulator.faults.add(*faults)
    try:
        simulator.start()
    except (OSError, OverflowError) as error:
        flags.error(f"{args.host} port {args.port} cannot be listened on: {error}")
    try:
        sys.stdout.write(json.dumps({"url": simulator.url}) + "\n")
        sys.stdout.flush()
        stopped.wait()
    finally:
        simulator.stop()


def _script(path: Path) -> list[Fault]:
    """Read a file of faults; raises ValueError that names the file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, list):
            raise ValueError("it must be a list of faults")  # noqa: TRY004, TRY301 - one exception for a bad file
        return [Fault.from_json(value, NAMES) for value in values]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"--faults {path}: {error}") from error


if __name__ == "__main__":
    main()
