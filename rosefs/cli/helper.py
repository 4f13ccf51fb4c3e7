"""Being called by mount(8), for ``mount -t fuse.rosefs`` and lines of /etc/fstab.

It calls ``mount.fuse.rosefs`` with arguments of its own fixed form, or, where that is not installed, mount.fuse of
libfuse, which calls ``rosefs`` in the same form. Both become the command ``rosefs mount``; nothing is mounted here.
"""

from __future__ import annotations

import click


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source")
@click.argument("mountpoint")
@click.option(
    "-o", "options", multiple=True, metavar="OPTION,…", help="Options, as rosefs mount -o takes them."
)
@click.option("-s", "sloppy", is_flag=True, help="Ignore options that do not exist.")
@click.option("-f", "fake", is_flag=True, help="Do nothing.")
@click.option("-v", "verbose", is_flag=True, help="Say on stderr what is done.")
@click.option(
    "-n", "_no_mtab", is_flag=True, expose_value=False, help="Nothing: there is no list to write to."
)
@click.option("-t", "_type", expose_value=False, help="Nothing: there is one type.")
def mount_helper(
    source: str, mountpoint: str, options: tuple[str, ...], sloppy: bool, fake: bool, verbose: bool
) -> None:
    """Mount a music library, called by mount(8).

    Install it, as root, by a link from /sbin/mount.fuse.rosefs.
    """
    # Not imported at the top, since the command line imports this to find out whether it was meant.
    from rosefs.cli.main import cli
    from rosefs.cli.mount_options import is_option, split_options

    given = [option for option in split_options(options) if not sloppy or is_option(option)]
    if not fake:
        own = ["--verbose"] if verbose else []
        cli.main([*own, "mount", *(["-o", ",".join(given)] if given else []), "--", source, mountpoint])


def main() -> None:
    """Runs ``mount.fuse.rosefs`` with the arguments of this process."""
    mount_helper.main(prog_name="mount.fuse.rosefs")
