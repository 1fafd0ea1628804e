"""The commands of the palette: the actions that are possible now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Provider

from tui.actions import Scope, Situation, in_palette
from tui.screens.dashboard.base import DashboardBase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from textual.command import Hits

    from tui.actions import Action


class ActionCommands(Provider):
    """Offers actions with their keys."""

    async def discover(self) -> Hits:
        """Yield all possible actions, in the registry's order."""
        for action in self._offered():
            yield DiscoveryHit(_words(action), self._doer(action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Yield the actions that match what was typed."""
        matcher = self.matcher(query)
        for action in self._offered():
            score = matcher.match(_words(action))
            if score > 0:
                yield Hit(score, matcher.highlight(_words(action)), self._doer(action), help=action.help)

    def _offered(self) -> Iterable[Action]:
        screen = self.screen
        if isinstance(screen, DashboardBase):
            return in_palette(screen.situation())
        return (action for action in in_palette(Situation()) if action.scope is Scope.APP)

    def _doer(self, action: Action) -> Callable[[], Awaitable[object]]:
        namespace = self.app if action.scope is Scope.APP else self.screen
        return lambda: self.app.run_action(action.id, namespace)


def _words(action: Action) -> str:
    return f"{action.words} ({action.key_words})"
