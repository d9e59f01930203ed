"""The integer network as compiled loops for a CPU."""
