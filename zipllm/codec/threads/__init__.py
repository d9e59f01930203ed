"""Threads that share work and keep its order.

side_by_side  pieces of work in several threads, their results in order; one call beside another
turns         workers that prepare in parallel and act in turn
work_queue    tasks in order, with threads where some can be started
"""
