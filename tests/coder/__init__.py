"""The range coder: exact words, agreement of its forms, cost, damage, refusals."""
