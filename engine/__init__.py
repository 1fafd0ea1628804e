"""Stream data larger than memory through steps, batch by batch, and never lose the place."""
