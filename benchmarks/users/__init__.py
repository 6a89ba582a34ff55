"""Are active users counted right, and what does it cost? Asked of a real Prometheus with histories of whole fleets."""
