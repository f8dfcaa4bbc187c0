"""What tests of several folders share; plain functions, found through pytest's ``pythonpath``."""
