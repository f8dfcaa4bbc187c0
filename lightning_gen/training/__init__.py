"""A run: its directory, its records, how it goes on, and what every training has."""
