"""Fuzz targets: functions that take any bytes and fail when a promise is broken. ``targets`` lists them.

They run three ways: a few derandomized examples and all regression cases in the test suite (``test_fuzz``), and for
as long as wanted by ``python -m tests.fuzz.run TARGET --minutes N``, guided by coverage where atheris is installed.
"""
