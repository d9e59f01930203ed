"""Pages and pictures from results."""
