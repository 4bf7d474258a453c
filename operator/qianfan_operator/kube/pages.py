"""The page size of lists: bounded by bytes, because memory depends on them."""

LARGEST_PAGE = 2 * 1024 * 1024
"""Bytes of a page after which it is read no further, and asked for again with fewer objects."""
LARGEST_OBJECT = 16 * 1024 * 1024
"""Bytes of a page that has one object only. etcd takes 1.5 MiB unless it is told otherwise."""
FIRST, MOST = 10, 100  # objects; the API server makes a whole page before it sends the first byte of it


class PageSize:
    """The number of objects to ask for next, learned from the pages of one kind; it is kept from list to list."""

    def __init__(self) -> None:
        self.limit = FIRST

    @property
    def budget(self) -> int:
        """Bytes to read at most of the next page."""
        return LARGEST_PAGE if self.limit > 1 else LARGEST_OBJECT

    def was_too_large(self) -> None:
        """Note that the page went over the budget, or did not come in time."""
        self.limit = max(1, self.limit // 4)

    def was(self, size: int, count: int) -> None:
        """Note that a page of `size` bytes had `count` objects; the next one may be twice as long at most."""
        if count:
            fitting = LARGEST_PAGE // 2 * count // max(size, 1)
            self.limit = max(1, min(MOST, 2 * self.limit, fitting))
