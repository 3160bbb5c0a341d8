"""QR codes (ISO/IEC 18004) as SVG.

The library qrcode knows where everything is in a code, and is asked once for each size; what is
then different from code to code is done here, at a tenth of the library's time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle, zip_longest

import qrcode
from qrcode.base import rs_blocks

LEVEL = (
    qrcode.ERROR_CORRECT_L
)  # the lowest: a screen has no scratches, and fewer modules scan better
MASK = 3  # any is valid; looking for the prettiest takes five times as long
MARGIN = 4  # modules of white around it, as the standard asks
BYTES = 0b0100  # the mode: bytes as they are (section 7.4.1)
PADDING = (0xEC, 0x11)  # section 7.4.10
FIELD = 0x11D  # x^8 + x^4 + x^3 + x^2 + 1, by which GF(256) is made (section 7.5.2)
LONG = 10  # the first version whose length takes two bytes


@dataclass(frozen=True)
class Layout:
    """What all codes of one version have in common.

    `blocks` are the numbers of data and of check bytes in each; `places` is where the bits go, in
    their order, as indexes into `modules`, which has what is always the same as "0" and "1";
    `mask` is what the bits are turned by.
    """

    version: int
    size: int
    blocks: tuple[tuple[int, int], ...]
    places: tuple[int, ...]
    modules: bytes
    mask: int

    @property
    def room(self) -> int:
        """How many bytes of text fit in."""
        return sum(data for data, _ in self.blocks) - (2 if self.version < LONG else 3)


def qr_svg(text: str) -> str:
    """Return a QR code of `text` as SVG markup, black on white, one path."""
    data = text.encode()
    layout = next(fit for version in count(1) if (fit := _layout(version)).room >= len(data))
    bits = int.from_bytes(_codewords(layout, data))
    total = 8 * sum(map(sum, layout.blocks))
    spare = len(layout.places) - total  # bits that no byte fills
    shown = f"{bits << spare ^ layout.mask:0{len(layout.places)}b}"
    modules = bytearray(layout.modules)
    for place, bit in zip(layout.places, shown.encode(), strict=True):
        modules[place] = bit
    return _svg(modules.decode(), layout.size)


def _svg(modules: str, inner: int) -> str:
    size = inner + 2 * MARGIN
    path = "".join(
        f"M{run.start() + MARGIN} {y + MARGIN}h{run.end() - run.start()}v1H{run.start() + MARGIN}z"
        for y in range(inner)
        for run in re.finditer("1+", modules[y * inner : (y + 1) * inner])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/>'
        f'<path d="{path}"/></svg>'
    )


def _codewords(layout: Layout, data: bytes) -> bytes:
    """Return the bytes of the code: data and check bytes of all blocks, interleaved."""
    length = len(data).to_bytes(1 if layout.version < LONG else 2)
    # Mode, length, data and an empty end are whole bytes together, half a byte out of step.
    framed = int.from_bytes(length + data) << 4 | BYTES << 8 * (len(length) + len(data)) + 4
    stream = framed.to_bytes(len(length) + len(data) + 1)
    room = sum(size for size, _ in layout.blocks)
    padding = cycle(PADDING)
    stream += bytes(next(padding) for _ in range(room - len(stream)))
    parts, checks, start = [], [], 0
    for size, check in layout.blocks:
        part = stream[start : start + size]
        parts.append(part)
        checks.append(_check_bytes(part, check))
        start += size
    return bytes([*_interleaved(parts), *_interleaved(checks)])


def _interleaved(parts: Sequence[bytes]) -> Iterator[int]:
    for column in zip_longest(*parts):
        yield from (value for value in column if value is not None)


def _check_bytes(data: bytes, length: int) -> bytes:
    """Return the remainder of `data` by the Reed-Solomon generator of that degree."""
    multiples, rest = _multiples(length), 0
    top, low = 8 * (length - 1), (1 << 8 * (length - 1)) - 1
    for byte in data:
        rest = (rest & low) << 8 ^ multiples[rest >> top ^ byte]
    return rest.to_bytes(length)


@cache
def _multiples(degree: int) -> tuple[int, ...]:
    """Return the products of every byte with the generator (less its leading 1), as numbers."""
    generator, root = [1], 1
    for _ in range(degree):
        shifted = [*generator, 0]
        generator = [
            high ^ _product(low, root) for high, low in zip(shifted, [0, *generator], strict=True)
        ]
        root = _product(root, 2)
    return tuple(
        int.from_bytes(bytes(_product(factor, value) for value in generator[1:]))
        for factor in range(256)
    )


def _product(one: int, other: int) -> int:
    """Multiply in GF(256)."""
    result = 0
    while other:
        result ^= one if other & 1 else 0
        one = one << 1 ^ (FIELD if one & 0x80 else 0)
        other >>= 1
    return result


class _Frame(qrcode.QRCode[qrcode.image.base.BaseImage]):
    """The library's code, before there is any data in it: places for that are None."""

    def map_data(self, data: object, mask_pattern: int) -> None:
        """Put nothing in."""


@cache
def _layout(version: int) -> Layout:
    """Return what codes of `version` have in common. Raises ValueError beyond the last, 40."""
    frame = _Frame(version=version, error_correction=LEVEL, mask_pattern=MASK)
    frame.make(fit=False)
    size = len(frame.modules)
    places = tuple(y * size + x for y, x in _order(size) if frame.modules[y][x] is None)
    turned = "".join("1" if sum(divmod(place, size)) % 3 == 0 else "0" for place in places)
    return Layout(
        version=version,
        size=size,
        blocks=tuple(
            (block.data_count, block.total_count - block.data_count)
            for block in rs_blocks(version, LEVEL)
        ),
        places=places,
        modules=bytes(b"01"[bool(module)] for row in frame.modules for module in row),
        mask=int(turned, 2),
    )


def _order(size: int) -> Iterator[tuple[int, int]]:
    """Yield rows and columns in the order of the bits: two columns up, two columns down."""
    upwards = True
    for right in range(size - 1, 0, -2):
        column = right if right > 6 else right - 1  # noqa: PLR2004 - the timing pattern's column
        for row in reversed(range(size)) if upwards else range(size):
            yield row, column
            yield row, column - 1
        upwards = not upwards
