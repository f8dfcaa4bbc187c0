"""A finished run, or several, as one HTML file that can be mailed."""
