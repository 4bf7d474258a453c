"""Marker paging, as every V2 list has it. Newest first unless `pageReverse` (the order is UNKNOWN).

See docs/design/wire.md#v2-calls.
"""

from collections.abc import Callable
from typing import Any

from qianfan_simulator.account import Account, T
from qianfan_simulator.body import Body
from qianfan_simulator.shelf import Shelf

_DEFAULT_KEYS, _MOST_KEYS = 10, 100


def page(
    account: Account, shelf: Shelf[T], kind: type[T], body: Body, wanted: Callable[[T], bool]
) -> tuple[list[T], dict[str, Any]]:
    """One page of the wanted, visible things and the reply's `pageInfo`. A missing marker begins a new scan."""
    size = min(body.integer("maxKeys", default=_DEFAULT_KEYS), _MOST_KEYS)
    reverse = body.flag("pageReverse", default=False)
    marker = body.text("marker", default="")
    start = shelf.find(marker) if marker else None
    if marker and start is None:
        raise body.refuse("marker")
    if not marker:
        account.begin_scan(kind)
    found, following = shelf.page(
        start, size, lambda thing: account.visible(thing) and wanted(thing), oldest_first=reverse
    )
    info = {"marker": marker, "maxKeys": size, "isTruncated": following is not None, "pageReverse": reverse}
    if following is not None:
        info["nextMarker"] = following.uid
    return found, info
