"""The name of this machine's processor."""

import platform
import re
from pathlib import Path


def processor_name() -> str:
    """Return it as the system tells it, or the kind of processor."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
