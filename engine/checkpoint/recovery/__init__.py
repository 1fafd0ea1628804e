"""Recovery from a crash, and the detection and repair of damage."""
