"""`python bench`: measure the operator on a real control plane against the simulated cloud, and show the goals beside.

Everything runs on this machine and its loopback, and is gone in the end. It takes about five minutes; other work on the
machine spoils the figures.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

import measure
import tenants
from figures import Figure, as_json, machine, table
from stage import BenchError, Stage

from qianfan_devcluster.binaries import BinariesError
from qianfan_devcluster.cluster import ClusterError

_MANY = 10_000


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 0 unless it could not be done: a goal that is missed is no error."""
    options = _options(words)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    begin = machine()
    figures: list[Figure] = []
    try:
        for more in _measure(options):
            figures += more
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (BenchError, BinariesError, ClusterError) as error:
        _tell(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        _tell(str(error.stderr or error))
        return 1
    finally:
        if figures:
            print(f"\n{table(figures)}", file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps(as_json(figures, begin), indent=2))
    return 0


def _measure(options: argparse.Namespace) -> Iterator[list[Figure]]:
    with Stage() as stage:
        if options.tenants:
            yield _tenants(stage, options.samples)
            return
        _tell("The life of one job")
        figures, example = measure.life_of_a_job(stage)
        yield figures
        _tell(f"{options.objects} jobs are created and start to train")
        yield measure.populate(stage, options.objects)
        _tell(f"{options.seconds:.0f} s of idleness")
        yield measure.idle(stage, options.seconds)
        _tell(f"{options.samples} new jobs, one by one")
        yield measure.latency(stage, options.samples)
        _tell("Restarts")
        yield measure.restarts(stage, options.restarts)
        yield _tenants(stage, options.samples)
    if options.many:
        _tell(f"{_MANY} finished jobs, in a new control plane")
        with Stage() as stage:
            yield measure.finished(stage, example, _MANY)


def _tenants(stage: Stage, samples: int) -> list[Figure]:
    _tell("New jobs in a quiet namespace, alone, and beside two hostile ones")
    return tenants.neighbours(stage, samples)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python bench", description="Measure latency, memory, CPU and writes.")
    parser.add_argument("--objects", type=int, default=1000, metavar="N", help="jobs that train meanwhile (1000)")
    parser.add_argument("--samples", type=int, default=200, metavar="N", help="new jobs that are timed (200)")
    parser.add_argument("--restarts", type=int, default=3, metavar="N", help="of each way to end (3)")
    parser.add_argument("--seconds", type=float, default=60, metavar="T", help="length of the idleness (60)")
    parser.add_argument("--many", action="store_true", help=f"also with {_MANY} finished jobs (a few minutes more)")
    parser.add_argument("--tenants", action="store_true", help="only a quiet namespace beside hostile ones")
    parser.add_argument("--json", action="store_true", help="JSON on standard output; the table goes to standard error")
    return parser.parse_args(words)


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
