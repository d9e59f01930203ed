"""Settings shared by all tests: how hard Hypothesis searches, where compiled code lies, how threads wait.

``HYPOTHESIS_PROFILE=nightly pytest`` searches longer and at random; the default profile draws the same examples
every time, so that a failure on one machine is a failure on all.
"""

import os

import platformdirs
from hypothesis import settings

settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Every process finds what another has compiled, whatever its home.
os.environ.setdefault("NUMBA_CACHE_DIR", os.fspath(platformdirs.user_cache_path("zipllm", appauthor=False) / "tests"))
# torch's idle threads sleep: where they spin, tests side by side take each other's cores, and seven times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
