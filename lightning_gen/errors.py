"""The one exception for what a user can put right."""


class UserError(ValueError):
    """Something the user can put right.

    Its message is one line: what was expected, what came, and what to do. The command line prints
    it without a traceback; every other exception is a fault of the program and keeps its traceback.
    """
