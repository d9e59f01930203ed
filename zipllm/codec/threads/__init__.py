"""Threads that share work and keep its order.

side_by_side  calls in several threads, results in order
turns         workers that prepare at any time and act in turn
work_queue    tasks that may wait for earlier tasks
beside        one call beside another
"""
