"""What all tables share: settings, id sequences, the printer of dates, and the times records were made."""

from collections.abc import Callable, Mapping, Sequence

from b24lake.sandbox.data.chance import Numbering, generator, hasher
from b24lake.sandbox.data.columns import Column, Row
from b24lake.sandbox.data.custom import Maker, custom_columns, custom_parts
from b24lake.sandbox.data.dates import DAY, SPAN, day_printer, printer
from b24lake.sandbox.data.table import Part, pooled
from b24lake.sandbox.settings import Settings

NUMBERED = (
    "deals",
    "leads",
    "contacts",
    "companies",
    "activities",
    "products",
    "calls",
    "spa_128",
    "spa_156",
    "spa_1032",
)
POOL = 181  # variants of the standard columns that do not hang on the row


class World:
    """The portal's facts before any row exists."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.show = printer(settings.server_offset)
        self.show_day = day_printer(self.show)
        self.epoch = settings.epoch
        self.begin = settings.epoch - SPAN
        self.numbering = {name: self._numbering(name) for name in NUMBERED}
        self.user_ids = _user_ids(settings)
        self.users = tuple(str(id_) for id_ in self.user_ids)

    def _numbering(self, name: str) -> Numbering:
        options = self.settings
        return Numbering(options.size(name), options.id_start, options.id_gap, options.seed, name)

    def number(self, name: str) -> None:
        """Give the rows of a table that is new to the portal their ids."""
        self.numbering[name] = self._numbering(name)

    def hasher(self, name: str) -> Callable[[int], int]:
        """Bits for the rows of a table."""
        return hasher(self.settings.seed, name)

    def created(self, name: str) -> Callable[[int], int]:
        """A function id -> unix seconds of creation: later ids are made later, over the portal's years."""
        numbers, begin = self.numbering[name], self.begin
        first, last = numbers.start, numbers.nth(max(numbers.count - 1, 0))
        step = (SPAN - 30 * DAY) / max(1, last - first + 1)
        end = self.epoch - DAY

        def made(id_: int) -> int:
            return min(begin + int((id_ - first) * step), end)

        return made

    def modified(self, name: str) -> Callable[[int], int]:
        """A function id -> unix seconds of the last change: mostly soon after creation, never after the epoch."""
        made, mix, epoch = self.created(name), self.hasher(f"{name} modified"), self.epoch

        def changed(id_: int) -> int:
            bits = mix(id_)
            return min(made(id_) + (bits % 220) ** 3 + bits // 1000 % 3600, epoch - 1 - bits % 86400)

        return changed

    def maker(self, name: str, booleans: tuple[object, object], prefix: str = "") -> Maker:
        """What custom values of a table are made with."""
        return Maker(self.show, self.epoch, booleans, f"{name} {prefix}")

    def custom(self, name: str, count: int, booleans: tuple[object, object], prefix: str = "") -> "Custom":
        """Custom fields of a table, and the parts of its rows that hold them."""
        columns = custom_columns(name, count, self.settings.seed, prefix=prefix)
        maker = self.maker(name, booleans, prefix)
        return Custom(columns, custom_parts(columns, maker, self.settings.seed))

    def pool(self, name: str, makes: Mapping[str, Sequence[object]], size: int = POOL) -> Part:
        """A part of standard columns, each value drawn from its list."""
        dice = generator(self.settings.seed, f"pool of {name}")
        variants: list[Row] = [{column: dice.choice(values) for column, values in makes.items()} for _ in range(size)]
        return pooled(tuple(makes), variants)


def _user_ids(settings: Settings) -> list[int]:
    """Ids of users, with gaps; the webhook's owner is among them."""
    dice = generator(settings.seed, "ids of users")
    others = [id_ for id_ in range(1, settings.users * 3 // 2 + 2) if id_ != settings.user_id]
    return sorted([settings.user_id, *dice.sample(others, settings.users - 1)])


class Custom:
    """Custom fields: their columns and the parts that hold their values."""

    def __init__(self, columns: list[Column], parts: list[Part]) -> None:
        self.columns, self.parts = columns, parts
