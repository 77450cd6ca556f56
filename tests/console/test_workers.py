"""The order in which workers get their items."""

from jaxportrait.console.workers import Shares


def test_neighbouring_items_stay_with_one_worker():
    shares = Shares("abcdefg", 2)
    items = [shares.next_item(worker) for worker in (0, 1, 0, 1)]
    assert items == ["a", "d", "b", "e"]


def test_a_worker_without_a_share_helps_at_the_end_of_the_largest():
    shares = Shares("abcdef", 3)
    items = [shares.next_item(0) for _ in range(6)]
    # Its own, and then the last of the others.
    assert items == ["a", "b", "d", "f", "c", "e"]
    assert shares.next_item(0) is None


def test_an_item_that_is_put_back_comes_next():
    shares = Shares("abc", 1)
    assert shares.next_item(0) == "a"
    shares.put_back(0, "a")
    assert shares.next_item(0) == "a"
