"""Core dumps are off, because the memory of the process holds access keys."""

import ctypes
import logging
import resource

_PR_SET_DUMPABLE = 4  # prctl(2)

log = logging.getLogger(__name__)


def forbid() -> None:
    """Have the kernel write no dump of this process, and let no other process of its user read its memory.

    The limit alone is not enough: a kernel that pipes dumps into a program does not ask for it. Where the second step
    fails, as outside of Linux, the operator starts all the same and warns.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        failed = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    except (AttributeError, OSError):
        failed = True
    if failed:
        log.warning("The kernel may still write core dumps, which hold access keys")
