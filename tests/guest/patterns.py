# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""What a display has to show, computed without the code under test."""

from lab import Picture, check


def kms(width, height, seed):
    """The pattern of programs/kms.c."""
    return Picture(width, height,
                   b"".join(kms_row(y, 0, width, seed)
                            for y in range(height)))


def kms_row(y, x0, width, seed, _blue={}):
    key = (y >> 3, x0, width, seed)
    if key not in _blue:
        if len(_blue) > 4096:
            _blue.clear()
        _blue[key] = bytes((((x >> 3) ^ (y >> 3)) + seed) & 255
                           for x in range(x0, x0 + width))
    row = bytearray(3 * width)
    row[0::3] = bytes((x + 37 * seed) & 255 for x in range(x0, x0 + width))
    row[1::3] = bytes([(y + 91 * seed) & 255]) * width
    row[2::3] = _blue[key]
    return bytes(row)


DAMAGE = (101, 67, 203, 111)


def kms_damaged(width, height, seed):
    """The same after 'kms damage': a rectangle with seed + 100."""
    x, y, w, h = DAMAGE
    data = bytearray(kms(width, height, seed).data)
    for row in range(y, y + h):
        o = (row * width + x) * 3
        data[o:o + 3 * w] = kms_row(row, x, w, seed + 100)
    return Picture(width, height, bytes(data))


def smpte(width, height):
    """modetest's default pattern (libdrm tests/util/pattern.c)."""
    top = [(192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0),
           (192, 0, 192), (192, 0, 0), (0, 0, 192)]
    middle = [(0, 0, 192), (19, 19, 19), (192, 0, 192), (19, 19, 19),
              (0, 192, 192), (19, 19, 19), (192, 192, 192)]
    bottom = [(0, 33, 76), (255, 255, 255), (50, 0, 106), (19, 19, 19),
              (9, 9, 9), (19, 19, 19), (29, 29, 29), (19, 19, 19)]

    def bar(x):
        if x < width * 5 // 7:
            return bottom[x * 4 // (width * 5 // 7)]
        if x < width * 6 // 7:
            return bottom[(x - width * 5 // 7) * 3 // (width // 7) + 4]
        return bottom[7]

    rows = (b"".join(bytes(top[x * 7 // width]) for x in range(width)),
            b"".join(bytes(middle[x * 7 // width]) for x in range(width)),
            b"".join(bytes(bar(x)) for x in range(width)))
    first, second = height * 6 // 9, height * 7 // 9
    return Picture(width, height, rows[0] * first +
                   rows[1] * (second - first) + rows[2] * (height - second))


def cursor():
    """The cursor of 'kms cursor', as 64 rows of blue, green, red, alpha."""
    return b"".join(
        bytes(4) if x >= 32 and y >= 32 else bytes((0x11, y, 0x80 + x, 0xff))
        for y in range(64) for x in range(64))


def cursor_picture():
    """Its colours."""
    data, rgb = cursor(), bytearray(3 * 64 * 64)
    for c in range(3):
        rgb[c::3] = data[2 - c::4]
    return Picture(64, 64, bytes(rgb))


# The console's first eight colours (the kernel's default palette).
PALETTE = [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170),
           (170, 0, 170), (0, 170, 170), (170, 170, 170)]


class Font:
    """A console font as programs/vtfont.c prints it."""

    def __init__(self, text):
        lines = text.splitlines()
        self.width, self.height, count = map(int, lines[0].split())
        check(self.width == 8 and len(lines) == count + 1,
              f"unexpected console font: {lines[0]}")
        self.glyphs = [bytes.fromhex(line) for line in lines[1:]]

    def console(self, width, height, lines):
        """A cleared console with lines of (colour number, ASCII text)."""
        black = bytes(PALETTE[0])
        rows = []
        for colour, text in lines:
            ink = bytes(PALETTE[colour])
            for y in range(self.height):
                row = b"".join(
                    ink if self.glyphs[ord(c)][y] >> (7 - x) & 1 else black
                    for c in text for x in range(8))
                rows.append(row + black * (width - 8 * len(text)))
        data = b"".join(rows)
        return Picture(width, height,
                       data + black * (width * height - len(data) // 3))

    def read(self, picture, cell=8):
        """The text on a picture of a text console: its glyphs looked up,
        whatever their colours; cells that are no ASCII glyph are '?'."""
        known = {}
        for c in range(32, 127):
            known.setdefault(self.glyphs[c], chr(c))
        lines = []
        for top in range(0, picture.height - self.height + 1, self.height):
            text = ""
            rows = [picture.row(top + y) for y in range(self.height)]
            for left in range(0, picture.width - cell + 1, cell):
                ground = rows[self.height - 1][3 * left:3 * left + 3]
                glyph = bytes(
                    sum((rows[y][3 * (left + x):3 * (left + x) + 3] != ground)
                        << (7 - x) for x in range(8))
                    for y in range(self.height))
                text += known.get(glyph, "?")
            lines.append(text.rstrip())
        return lines
