"""What new files get, from the configuration: which key encrypts where, what is asked of OSS."""

from dataclasses import dataclass
from functools import partial

from ossfs.config.policies import Rule
from ossfs.config.sections import ConversionConfig, MountConfig
from ossfs.config.server_side import AskedOfServer
from ossfs.errors import KeyProblem
from ossfs.keys.base import MasterKey
from ossfs.keys.choosing import choose, kind_of
from ossfs.keys.keyring import Keyring
from ossfs.keys.kms import KmsMasterKey
from ossfs.keys.pool import EnvelopeMaker, EnvelopePool, EnvelopeSource
from ossfs.transfer.protection import Protection, asked_of_server
from ossfs.vfs.kernel import Spawn
from ossfs.vfs.policy import NewFiles, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """The key that encrypts new files: in general, and for each rule; None: they stay as they are.

    A rule that names none has that of all other files.
    """

    default: MasterKey | None
    by_rule: tuple[tuple[Rule, MasterKey | None], ...]

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """Each of them once."""
        named = (self.default, *(key for _, key in self.by_rule))
        return tuple({id(key): key for key in named if key is not None}.values())


def choose_writers(config: MountConfig | ConversionConfig, keyring: Keyring) -> Writers:
    """Raises KeyProblem for a rule whose key is not there or does not fit."""
    default = keyring.writer if config.keys.encrypt != "none" else None
    by_rule = tuple((rule, _for_rule(rule, keyring, default)) for rule in config.policies)
    writers = Writers(default=default, by_rule=by_rule)
    if config.keys.dialect == "deprecated":
        for key in writers.keys:
            if kind_of(key) == "aes":
                raise KeyProblem(
                    f"--dialect deprecated: {key.name} is symmetric, which that form never was"
                )
    return writers


def _for_rule(rule: Rule, keyring: Keyring, default: MasterKey | None) -> MasterKey | None:
    if rule.encrypt == "none":
        return None
    if not rule.encrypt and not rule.key:
        return default
    try:
        return choose(keyring.keys, kind=rule.encrypt, name=rule.key)
    except KeyProblem as error:
        raise KeyProblem(f"{rule.label}: {error}") from None


def build_policy(config: MountConfig, keyring: Keyring, writers: Writers, spawn: Spawn) -> Policy:
    """The policy of a mount; data keys of the KMS are made ahead, for each key that encrypts."""
    sources = {
        id(key): _source(keyring, key, None if config.mount.read_only else spawn)
        for key in writers.keys
    }

    def new_files(key: MasterKey | None, server: AskedOfServer | None) -> NewFiles:
        return NewFiles(
            protection=Protection(
                source=None if key is None else sources[id(key)], server=asked_of_server(server)
            ),
            key_name="" if key is None else key.name,
            wrap_alg="" if key is None else key.wrap_alg,
        )

    everywhere = config.server_side.asked
    return Policy(
        new_files(writers.default, everywhere),
        [
            (rule.glob, new_files(key, rule.server if rule.sets_server else everywhere))
            for rule, key in writers.by_rule
        ],
        prefix=config.where.prefix,
    )


def _source(keyring: Keyring, key: MasterKey, spawn: Spawn | None) -> EnvelopeSource:
    """*spawn*: None where nothing will be written."""
    make = partial(keyring.new_envelope, key)
    if spawn is None or not isinstance(key, KmsMasterKey):
        return EnvelopeMaker(make)
    made_ahead = EnvelopePool(make)
    spawn(made_ahead.run)
    return made_ahead
