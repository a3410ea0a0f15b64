"""`uuid`: the 16 bytes of a UUID → a name of the settings, or the text of the UUID.

The kernel has UUIDs of file systems (`super_block.s_uuid`) and devices, and as GUIDs those of partitions and
firmware; systemd has one for each boot, machine and run of a unit.

Settings:

    order: rfc              # the bytes' order: rfc (the default), or guid, whose first fields are
                            # little-endian, as in EFI and GPT
    names:                  # UUID, in any common spelling: name
      0fc63daf-8483-4772-8e79-3d69d8477de4: linux
      "{C12A7328-F81F-11D2-BA4B-00A0C93EC93B}": efi
      00000000-0000-0000-0000-000000000000: none
    default: other          # for UUIDs without a name; without it, their text

All may be left out.
"""

import json
from uuid import UUID

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.decoding import Batch, Outcome, Outcome_Error, Outcome_Label

ORDERS = {"rfc": "bytes", "guid": "bytes_le"}


class Names:
    """What the settings say."""

    def __init__(self, settings: dict) -> None:
        order, names = settings.pop("order", "rfc"), settings.pop("names", {})
        self.default = settings.pop("default", None)
        for key in settings:
            raise Err(f'settings: "{key}" is unknown; there are order, names and default')
        if not isinstance(order, str) or order not in ORDERS:
            raise Err(f"order: {json.dumps(order)} is neither rfc nor guid")
        if not isinstance(names, dict):
            raise Err("names: has to be a mapping of UUIDs to names")
        if not isinstance(self.default, str | None):
            raise Err("default: has to be a text")
        self.order = ORDERS[order]
        self.names: dict[UUID, str] = {}
        for text, name in names.items():
            self.add(text, name)

    def add(self, text: str, name: object) -> None:
        try:
            uuid = UUID(text)
        except ValueError:
            example = "0fc63daf-8483-4772-8e79-3d69d8477de4"
            raise Err(f'names: "{text}" is no UUID, such as {example}') from None
        if not isinstance(name, str):
            raise Err(f'names: the name of "{text}" has to be a text')
        if uuid in self.names:
            raise Err(f'names: "{text}" is there twice')
        self.names[uuid] = name

    def outcome(self, input: bytes) -> Outcome:
        if len(input) != 16:
            return Outcome_Error("a UUID has 16 bytes")
        uuid = UUID(**{self.order: input})
        name = self.names.get(uuid, self.default)
        return Outcome_Label(str(uuid) if name is None else name)


class Decoding(exports.Decoding):
    """What the host calls. Each call comes to an object of its own, so that the settings are the class's."""

    names: Names

    def configure(self, settings: str) -> None:
        Decoding.names = Names(json.loads(settings))

    def decode(self, inputs: Batch) -> list[Outcome]:
        starts = [0, *inputs.ends]
        return [self.names.outcome(inputs.bytes[start:end]) for start, end in zip(starts, inputs.ends)]
