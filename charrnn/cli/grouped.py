"""The list of commands in `charrnn --help`, grouped by what one wants to do."""

from typing import Any

from typer.core import TyperGroup

GROUPS = {
    "Make a model": ("train", "plan"),
    "Write with it": ("sample", "write", "chat", "serve"),
    "Other tasks": ("forecast", "translate", "classify"),
    "Measure it": ("evaluate", "score", "originality"),
    "Look into it": ("plot", "gradients", "neurons", "report"),
    "Manage runs": ("runs", "compare", "checkpoints"),
}
"""What one wants to do -> the commands for it; a command that is in none comes last."""


class Grouped(TyperGroup):
    """The program, whose help lists its commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        width = max(map(len, self.commands), default=0)
        limit = formatter.width - width - 6
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in grouped)
        for title, names in {**GROUPS, "More": others}.items():
            rows = [
                (name.ljust(width), self.commands[name].get_short_help_str(limit))
                for name in names
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
