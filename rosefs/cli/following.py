"""What runs beside a mount, by its plan: the watcher of the source, and the hooks. The bindings run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosefs.cli.plans import Plan
from rosefs.cli.running import Running
from rosefs.fuse.translation import Companion

if TYPE_CHECKING:
    from rosefs.watch.state import WatchState


def companions_of(plan: Plan, teller: Running) -> list[Companion]:
    """Returns what has to run beside a mount.

    Args:
        plan: How it is mounted.
        teller: Told of what the watcher does.
    """
    settings = plan.settings
    companions: list[Companion] = []
    if plan.watches and settings.watch.mode != "off":

        async def watch() -> None:
            from rosefs.watch.watcher import Watcher  # when it is mounted, and nobody waits for that any more

            await Watcher(
                settings.cache, settings.watch, on_state=lambda state: tell_state(teller, state)
            ).run()

        companions.append(watch)
    if settings.hooks:

        async def run() -> None:
            from rosefs.watch.hooks import Hook, run_hooks

            source = settings.cache.music_source_dir
            hooks = [Hook(hook, source=source, mountpoint=plan.mountpoint) for hook in settings.hooks]
            await run_hooks(settings.cache, hooks)

        companions.append(run)
    return companions


def tell_state(teller: Running, state: WatchState) -> None:
    """Tells what a watcher says of itself, for 'rosefs status'."""
    teller.update(watcher=f"{state.mode}: {state.reason}" if state.reason else state.mode)
    if state.last_update is not None:
        teller.tell_problems(state.problems, state.last_update)
