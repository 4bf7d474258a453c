"""What every test shares: the fixture of the real control plane, and a run that fails if anything was skipped."""

import pytest

pytest_plugins = ["plugins.cluster", "plugins.figures", "plugins.side_by_side"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """Say what was skipped; `pytest_sessionfinish` has made the run fail for it."""
    if terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("Nothing may be skipped: a test that cannot run here is a failure.", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a good exit into a bad one if a test was skipped."""
    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
