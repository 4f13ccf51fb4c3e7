"""What runs beside a mount, by its plan: the watcher of the source, and the hooks. The bindings run it."""

from __future__ import annotations

from rosefs.cli.plans import Plan
from rosefs.cli.running import Running
from rosefs.fuse.translation import Companion
from rosefs.watch.hooks import Hook, run_hooks
from rosefs.watch.state import WatchState
from rosefs.watch.watcher import Watcher


def companions_of(plan: Plan, teller: Running) -> list[Companion]:
    """Returns what has to run beside a mount.

    Args:
        plan: How it is mounted.
        teller: Told of what the watcher does.
    """
    settings = plan.settings
    companions: list[Companion] = []
    if plan.watches and settings.watch.mode != "off":
        watcher = Watcher(settings.cache, settings.watch, on_state=lambda state: tell_state(teller, state))
        companions.append(watcher.run)
    if settings.hooks:
        hooks = [
            Hook(hook, source=settings.cache.music_source_dir, mountpoint=plan.mountpoint)
            for hook in settings.hooks
        ]

        async def run() -> None:
            await run_hooks(settings.cache, hooks)

        companions.append(run)
    return companions


def tell_state(teller: Running, state: WatchState) -> None:
    """Tells what a watcher says of itself, for 'rosefs status'."""
    teller.update(watcher=f"{state.mode}: {state.reason}" if state.reason else state.mode)
    if state.last_update is not None:
        teller.tell_problems(state.problems, state.last_update)
