"""All rows by name, in the order of the table."""

from tests.torture import (
    chats,
    conditions,
    corpora,
    damage,
    environments,
    failing,
    folders,
    interruptions,
    kills,
    labels,
    limits,
    load,
    mutants,
    pairs,
    pipes,
    power,
    prompts,
    resuming,
    series,
    serving,
    sharing,
    tasks,
    terminals,
    texts,
    tunes,
    untrusted,
)
from tests.torture.rows import Row

GROUPS = (
    kills, power, failing, folders, interruptions, sharing, damage, mutants, untrusted, resuming,
    environments, pipes, terminals, prompts, corpora, texts, series, chats, pairs, labels, tasks,
    conditions, tunes, serving, limits, load,
)  # fmt: skip


def _place(row: Row) -> tuple[str, int]:
    return row.name[0], int(row.name[1:])


ROWS = {row.name: row for row in sorted((r for g in GROUPS for r in g.ROWS), key=_place)}
