"""`make bench` can be started; what it measures is no matter of tests."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_tells_its_options() -> None:
    """`python bench --help` works from the checkout, so that all of its modules can be imported."""
    done = subprocess.run([sys.executable, "bench", "--help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "--many" in done.stdout
