"""What each object is to become, from what the user wants and from the rules by path."""

from ossfs.compose.checks import check_metadata_room
from ossfs.compose.protections import choose_writers
from ossfs.config.globs import Patterns
from ossfs.config.sections import ConversionConfig
from ossfs.config.server_side import AskedOfServer
from ossfs.errors import KeyProblem
from ossfs.keys.base import MasterKey
from ossfs.keys.choosing import kind_of
from ossfs.keys.keyring import Keyring
from ossfs.keys.kms import KmsMasterKey
from ossfs.transfer.convert.goal import STAYS, Goal, Goals, Stays, Target
from ossfs.transfer.protection import asked_of_server
from ossfs.types import ObjectKey


async def build_goals(
    config: ConversionConfig, masters: list[MasterKey], prefix: str, *, dry_run: bool
) -> Goals:
    """The goal of every key; *prefix*: what the globs of rules are relative to.

    Raises KeyProblem, UsageError: a key is not there, or unfit for what it is to do.
    """
    if config.wanted.by_policy:
        return await _by_policy(config, masters, prefix, dry_run)
    wanted = config.wanted
    goal = Goal(
        client=await _client(config, masters, prefix, dry_run),
        server=asked_of_server(wanted.sse) if wanted.changes_sse else STAYS,
    )
    return lambda _key: goal


async def _by_policy(
    config: ConversionConfig, masters: list[MasterKey], prefix: str, dry_run: bool
) -> Goals:
    """What new files get; where they ask nothing of OSS, an object keeps what it has."""
    writers = choose_writers(config, Keyring(masters))
    targets = {id(key): await _target(key, prefix, dry_run) for key in writers.keys}

    def goal(key: MasterKey | None, asked: AskedOfServer | None) -> Goal:
        client = None if key is None else targets[id(key)]
        return Goal(client=client, server=STAYS if asked is None else asked_of_server(asked))

    everywhere = config.server_side.asked
    default = goal(writers.default, everywhere)
    rules = Patterns(
        [
            (rule.glob, goal(key, rule.server if rule.sets_server else everywhere))
            for rule, key in writers.by_rule
        ]
    )
    base = f"{prefix}/" if prefix else ""

    def of_key(key: ObjectKey) -> Goal:
        return rules.best(key.removeprefix(base)) or default

    return of_key


async def _client(
    config: ConversionConfig, masters: list[MasterKey], prefix: str, dry_run: bool
) -> Target | Stays | None:
    wanted = config.wanted
    if not wanted.changes_client:
        return STAYS
    if wanted.encrypt == "none":
        return None
    for master in masters:
        if wanted.key in {"", master.name} and wanted.encrypt in {"", kind_of(master)}:
            return await _target(master, prefix, dry_run)
    named = f" named {wanted.key}" if wanted.key else ""
    known = ", ".join(master.name for master in masters) or "none"
    kind = f"{wanted.encrypt} key" if wanted.encrypt else "key"
    raise KeyProblem(f"--to: there is no {kind}{named}; keys here: {known}")


async def _target(master: MasterKey, prefix: str, dry_run: bool) -> Target:
    """Raises KeyProblem, UsageError where it could not encrypt every object or read it back."""
    if not master.can_unwrap:
        raise KeyProblem(
            f"{master.name} is a public key: a conversion reads back what it writes, "
            "which takes the private one"
        )
    if isinstance(master, KmsMasterKey):
        await master.check(writes=not dry_run)
    check_metadata_room([master], prefix)
    return Target(master)
