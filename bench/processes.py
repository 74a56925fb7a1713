"""CPU time and memory of processes, from /proc."""

import os
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """Memory of a process in MB: resident (RSS) and proportional (PSS)."""

    rss: float
    pss: float


def tree(pid: int) -> list[int]:
    """The process and all of its descendants."""
    parents = {int(folder.name): parent(int(folder.name)) for folder in Path("/proc").glob("[0-9]*")}
    found, new = [pid], [pid]
    while new:
        new = [child for child, above in parents.items() if above in new]
        found += new
    return found


def parent(pid: int) -> int:
    """The parent of a process; 0 if the process has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, including those that have ended."""
    return sum(sum(map(int, _stat(each)[11:15])) for each in tree(pid)) / TICKS


def memory(pid: int) -> Memory:
    """The memory of one process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {name: int(size) for name, size, *_ in map(str.split, lines[1:])}
    return Memory(kilobytes["Rss:"] / 1024, kilobytes["Pss:"] / 1024)


def workers(pid: int) -> list[int]:
    """The descendants of a server's first process that handle requests."""
    below = (each for each in tree(pid) if each != pid)
    return [each for each in below if b"resource_tracker" not in Path(f"/proc/{each}/cmdline").read_bytes()]


def _stat(pid: int) -> list[str]:
    try:
        # The name in parentheses may contain spaces.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
