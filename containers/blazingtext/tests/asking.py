"""Questions that many threads ask at once."""

import threading
from collections.abc import Callable


def wrong_answers(is_right: Callable[[], bool], *, threads: int = 8, times: int = 50) -> int:
    """How often what all threads ask, each so many times, is not answered rightly; an exception counts, too."""
    right: list[bool] = []

    def ask() -> None:
        for _ in range(times):
            right.append(is_right())

    asking = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return threads * times - sum(right)
