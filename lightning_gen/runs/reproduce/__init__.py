"""Published results, and what this project measures in their place."""
