"""How much memory a process takes."""

import os
import pathlib


def resident(process):
    """Resident bytes of a process, by its id; 0 for what a sanitizer watches, whose memory is mostly the sanitizer's."""
    if os.environ.get("TIPWIRE_SANITIZER"):
        return 0
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
