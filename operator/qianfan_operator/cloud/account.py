"""An account: one key pair, its client, and what this process has proven with it."""

from dataclasses import dataclass, field

from qianfan_operator.cloud.access_key import AccessKey
from qianfan_operator.cloud.client import Client


@dataclass(eq=False)
class Account:
    """One key pair: its client, and what has been proven with it in this process."""

    keys: AccessKey = field(repr=False)
    client: Client = field(repr=False)
    # docs/design/create-protocol.md#unknown-outcome
    list_probe_passed: bool = False  # a run made by V1 was seen in a V2 list

    @property
    def name(self) -> str:
        """A short hash of the access key id, as `status.account` shows it."""
        return self.keys.account
