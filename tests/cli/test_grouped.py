"""The help lists every command once, in groups of what one wants to do."""

from charrnn.cli.grouped import GROUPS
from charrnn.cli.main import COMMANDS
from tests.support.shell import Shell


def test_every_command_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(COMMANDS)


def test_the_help_shows_the_groups_and_a_line_for_each_command(shell: Shell) -> None:
    lines = shell.run("--help").succeeded().out.splitlines()
    assert [line for line in lines if line.rstrip(":") in GROUPS] == [f"{g}:" for g in GROUPS]
    shown = [line.split()[0] for line in lines if line.startswith("  ") and line.split()]
    for name in COMMANDS:
        assert shown.count(name) == 1
