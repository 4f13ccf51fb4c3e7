"""Which directory the kernel asks pyfuse3 to list: pyfuse3 passes on nothing but the handle that opening it gave.

With no handles, which is what lets the kernel keep listings, that is always 0. libfuse says what each request is
about when it is made to log (``-o debug``), by a function that a program may give it: once for every request, in the
thread that is about to call the request's handler. Nothing is taken for granted about that text: if it is not what is
expected here, nothing is known, and the binding has to do without.
"""

from __future__ import annotations

import ctypes
import os
import re

_REQUEST = b"opcode: %s (%i), nodeid: %llu"
_OF_DIRECTORY = b"DIR"
"""In the names of what is asked to open and to read a directory, as OPENDIR and READDIRPLUS."""

_INODE = re.compile(rb"nodeid: ([0-9]+)")
_INIT_FLAGS = b"flags=0x%08x\n"
_NO_OPENDIR_SUPPORT = 1 << 24
"""FUSE_NO_OPENDIR_SUPPORT of linux/fuse.h, among the flags that a kernel says hello with."""

_DEBUG = 7
"""FUSE_LOG_DEBUG of fuse_log.h."""

_MOST = 400
_LOG_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class Requests:
    """What libfuse says of the requests that it hands over. Of use in the thread only that it does so in.

    Attributes:
        inode: What the request is about whose handler is being called, if that opens or reads a directory; 0 if it
            is not known.
        may_list_unopened: The kernel knows of file systems that list directories without opening them.
    """

    def __init__(self) -> None:
        self.inode = 0
        self.may_list_unopened = False
        # Both have to live as long as libfuse does.
        self._function = _LOG_FUNCTION(self._log)
        # Of requests one thread at a time is told; of trouble any, in the midst of that.
        self._buffer = ctypes.create_string_buffer(_MOST)
        self._format = ctypes.PyDLL(None).vsnprintf
        self._format.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p)

    def listen(self, library: str) -> frozenset[str]:
        """Has libfuse tell from now on what it is asked, if it can.

        Args:
            library: A file that is linked to libfuse.

        Returns:
            The options to mount with.
        """
        try:
            set_function = ctypes.CDLL(library).fuse_set_log_func  # which older versions do not have
        except (OSError, AttributeError):
            return frozenset()
        set_function(self._function)
        return frozenset({"debug"})

    def _log(self, level: int, text: bytes, arguments: int | None) -> None:
        if level < _DEBUG:
            os.write(2, self._formatted(ctypes.create_string_buffer(_MOST), text, arguments))
        elif _REQUEST in text:
            said = self._formatted(self._buffer, text, arguments)
            if _OF_DIRECTORY in said:  # nobody asks about others
                found = _INODE.search(said)
                self.inode = 0 if found is None else int(found[1])
        elif text == _INIT_FLAGS:
            flags = int(self._formatted(self._buffer, text, arguments).partition(b"=")[2], 16)
            self.may_list_unopened = bool(flags & _NO_OPENDIR_SUPPORT)

    def _formatted(self, buffer: ctypes.Array[ctypes.c_char], text: bytes, arguments: int | None) -> bytes:
        self._format(buffer, _MOST, text, arguments)
        return buffer.value
