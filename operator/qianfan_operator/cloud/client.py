"""The client of one account: all V1 and V2 calls."""

from qianfan_operator.cloud.v1 import V1Calls
from qianfan_operator.cloud.v2 import V2Calls


class Client(V1Calls, V2Calls):
    """One account of the cloud. Safe for many threads.

    Reads and free calls are made at once; paid creates come as `prepare_*`, so that an intent can be recorded between
    the signature and the sending.

    See docs/design/create-protocol.md#sending.
    """

    @property
    def account(self) -> str:
        """A short hash of the access key id in use."""
        return self._transport.keys.account

    def close(self) -> None:
        """Close the connections that are not in use; the client can be used on."""
        self._transport.close()

    def clock_known(self) -> bool:
        """Tell whether a paid create can be prepared now."""
        return self._transport.cloud_clock.known()

    def cloud_time(self) -> float | None:
        """Return the cloud's seconds since 1970, or None as long as it has not told them, or is not believed."""
        clock = self._transport.cloud_clock
        return clock.measured() if clock.trusted() else None

    def measure_clock(self) -> None:
        """Learn the cloud's time by one cheap read, if it is not known.

        Raises the read's CloudError, unless its answer told the time all the same.
        """
        if not self.clock_known():
            self._transport.tell_time()
