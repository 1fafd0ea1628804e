"""The dashboard: its layout, what is selected, and what its keys do."""
