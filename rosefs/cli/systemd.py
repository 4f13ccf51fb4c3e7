"""A systemd user unit that mounts the library of a configuration. Makes its text, and installs nothing.

How words of a command line are written in a unit: systemd.service(5), "Command lines", and systemd.syntax(7).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_TEMPLATE = """\
# A systemd unit that mounts a music library by rosefs when you log in. To install it:
#
#   mkdir -p ~/.config/systemd/user
#   rosefs config systemd > ~/.config/systemd/user/rosefs.service
#   systemctl --user daemon-reload
#   systemctl --user enable --now rosefs.service
#
# How it is, and what it says:    systemctl --user status rosefs.service; journalctl --user -u rosefs.service
# To have it run without a login: loginctl enable-linger
#
# Add no sandboxing here (NoNewPrivileges=, ProtectSystem=, PrivateTmp= ...). Such options take the right to mount from
# fusermount3, which is setuid root, or hide the mount from all other programs.

[Unit]
Description={description}
RequiresMountsFor={source}

[Service]
Type=notify
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
ExecStop=-{stop}
# The first start reads every file of the library.
TimeoutStartSec=infinity
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
"""
_FOR_ENV = frozenset("\"'\\$")
"""What systemd does not take in the name of a program."""


def unit(config: Path, source: Path, mountpoint: Path) -> str:
    """Returns the text of a unit.

    Args:
        config: The configuration file, absolute. It has to say where to mount.
        source: The music directory.
        mountpoint: Where that is mounted.
    """
    program = _program()
    if _FOR_ENV & set(program[0]):
        program = ["/usr/bin/env", *program]
    own = [*program, "--config", str(config)]
    return _TEMPLATE.format(
        description=_text(f"{source} as a file system at {mountpoint}"),
        source=_word(str(source), in_command=False),
        start=_command([*own, "mount", "--foreground"]),
        stop=_command([*own, "unmount", str(mountpoint)]),
    )


def _program() -> list[str]:
    """Returns how this program is called, by absolute paths."""
    found = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "rosefs" else None
    return [os.path.abspath(found)] if found is not None else [sys.executable, "-m", "rosefs"]


def _command(words: Sequence[str]) -> str:
    return " ".join(_word(word) for word in words)


def _word(word: str, *, in_command: bool = True) -> str:
    """Writes a word so that systemd reads the same: percent signs are specifiers, in commands dollars variables."""
    if in_command:
        word = word.replace("$", "$$")
    escaped = re.sub(r'[\\"]', r"\\\g<0>", word).replace("%", "%%")
    escaped = re.sub("[\x00-\x1f\x7f]", lambda control: f"\\x{ord(control[0]):02x}", escaped)
    return f'"{escaped}"' if re.search(r"[\s\\\"'#;]", escaped) else escaped


def _text(text: str) -> str:
    """Writes text that is a line, and no command."""
    return re.sub("[\x00-\x1f\x7f]", " ", text).replace("%", "%%").rstrip("\\")
