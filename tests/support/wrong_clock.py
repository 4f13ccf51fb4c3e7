"""A clock on the wall that a test puts forward and back under a program that runs, as batteries and NTP do.

Only what the program asks of the time is wrong: what the kernel writes to the disk has the true time.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import skip_or_fail

_SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long wrong_by(void) {
    static const volatile long *seconds;
    if (!seconds) {
        int file = open(getenv("WRONG_CLOCK"), O_RDONLY | O_CLOEXEC);
        seconds = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        close(file);
    }
    return *seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += wrong_by();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now) *now = precise.tv_sec;
    return precise.tv_sec;
}
"""


@dataclass(frozen=True)
class WrongClock:
    """A clock that is wrong by some seconds, which a file holds, in programs started by way of ``prefix``."""

    prefix: tuple[str, ...]
    _file: Path

    @classmethod
    def make(cls, directory: Path) -> WrongClock:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            skip_or_fail("no C compiler is installed")
        library, source, file = (directory / f"wrong_clock{suffix}" for suffix in (".so", ".c", ""))
        source.write_text(_SOURCE)
        subprocess.run([str(compiler), "-shared", "-fPIC", "-o", library, source], check=True)
        clock = cls(("env", f"LD_PRELOAD={library}", f"WRONG_CLOCK={file}"), file)
        file.write_bytes(struct.pack("=q", 0))
        return clock

    def set(self, seconds: int) -> None:
        """Has the clock be wrong by so many seconds from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))
