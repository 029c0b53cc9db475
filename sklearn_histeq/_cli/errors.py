"""Errors that the command line reports in one line, without a traceback."""


class UsageError(Exception):
    """The options are wrong, or do not fit the input; exit status 2."""


class FileError(Exception):
    """A file or folder cannot be read, used or written; exit status 1."""


class PictureError(Exception):
    """One picture cannot be processed; the others of a folder still can."""
