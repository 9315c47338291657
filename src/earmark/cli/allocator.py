"""How the command's process keeps its memory."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST = 2**31 - 1
LARGE = 2**30


def keep_memory() -> None:
    """Have glibc keep what is freed for the next use, instead of giving it back to the system.

    By its defaults every large block comes from the system and returns to it, and when a page of it is first
    touched the system steps in and clears it: up to a third of the time of a transformer's forward pass.  The
    setting is for the whole process, so it is for the command line alone; a program that uses the library
    decides for itself.  Nothing happens without glibc (macOS, Windows, musl).

    Example:
        >>> keep_memory()
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, LARGE)
    mallopt(M_TRIM_THRESHOLD, LARGEST)
