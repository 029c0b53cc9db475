"""What can go wrong with files: errors that the command line tells in one line."""


class UsageError(Exception):
    """The options are wrong, or do not fit the input; exit status 2."""


class FileError(Exception):
    """A file or folder cannot be read, used or written; exit status 1."""


class PictureError(Exception):
    """One picture cannot be done; in a folder, the others still can."""
