"""Files that do harm: tiny ones that unpack into huge ones, and pickles that run something."""

import os
import struct
import zlib


def write_bomb(path, side=30_000, whole=True):
    """A black grey PNG of ``side`` x ``side`` pixels; if not whole it only claims to have them."""
    packer = zlib.compressobj(1)
    row = bytes(1 + side)
    rows = side if whole else 1
    pixels = b"".join([*(packer.compress(row) for _ in range(rows)), packer.flush()])
    write_png(path, side, 8, 0, pixels)


def write_png(path, side, bits, colours, pixels):
    """A PNG of ``side`` x ``side`` pixels, which are compressed already; 2 is RGB, 0 grey."""
    header = struct.pack(">IIBBBBB", side, side, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def _chunk(name, content):
    length, checksum = (struct.pack(">I", n) for n in (len(content), zlib.crc32(name + content)))
    return length + name + content + checksum


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)
