"""Settings shared by all tests: how hard Hypothesis searches.

``HYPOTHESIS_PROFILE=nightly pytest`` searches longer and at random; the default profile draws the same examples
every time, so that a failure on one machine is a failure on all.
"""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
