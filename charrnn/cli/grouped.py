"""The list of commands in `charrnn --help`, grouped by what one wants to do."""

from typing import Any

from typer.core import TyperGroup

GROUPS = {
    "Make a model": ("train", "plan"),
    "Write with it": ("sample", "write", "chat"),
    "Predict with it": ("forecast", "translate", "classify"),
    "Measure it": ("evaluate", "score", "originality"),
    "Look inside": ("neurons", "gradients", "plot", "compare", "report"),
    "Keep and share": ("runs", "checkpoints", "serve"),
}
"""What one wants to do -> the commands for it; a command that is in none comes last."""


class Grouped(TyperGroup):
    """The program, whose help lists its commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        grouped = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in grouped)
        for title, names in {**GROUPS, "More": others}.items():
            rows = [
                # The whole first sentence, on as many lines as it takes.
                (name, self.commands[name].get_short_help_str(1000))
                for name in names
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
