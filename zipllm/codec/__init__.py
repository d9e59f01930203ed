"""Joins all stages: bytes -> blocks -> lanes -> tokens -> frequencies -> decisions -> archive, and back."""
