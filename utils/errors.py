"""The one exception that means: the input is wrong, not the program."""


class UserError(Exception):
    """Bad input. The message names the thing (file, column, row, flag) and the remedy.

    The commands print it without a traceback and leave with exit code 2.
    """
