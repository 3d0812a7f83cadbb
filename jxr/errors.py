"""The one exception for mistakes that a user can make and mend."""


class UserError(Exception):
    """A mistake in what the user gave: a path, a key, a value, a file.

    The message is one line that names the file or key and the remedy. Entry points print it and
    exit with status 2; everywhere else it travels as an ordinary exception.
    """
