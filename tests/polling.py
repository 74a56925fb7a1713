"""How tests wait: they ask again and again, for so long at most."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(true: Callable[[], Any], seconds: float = 15) -> bool:
    """Whether it comes true, asked again and again for so long at most."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())
