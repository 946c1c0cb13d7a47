"""Checksums of lossless video: the decoder notices a wrong one, but shows a guess all the same."""

import zlib

MIRRORED = bytes(int(f'{k:08b}'[::-1], 2) for k in range(256))
FOOTER = 8      # bytes after each slice of FFV1 with checksums: size (3), status (1), checksum (4)
ALL = 0xFFFFFFFF


def ffv1_intact(packet):
  """Whether a frame of FFV1 (RFC 9043, section 4.9) fits its checksums.

  Args:
    packet: bytes of one coded frame: slices, each with its size and checksum at its end.

  Returns:
    True or False; None where the sizes lead nowhere: a file written without checksums, or, if other
    frames of it were True, damage to the sizes themselves.
  """
  ends, end = [], len(packet)
  while end >= FOOTER:
    size = int.from_bytes(packet[end - FOOTER:end - FOOTER + 3], 'big') + FOOTER
    ends.append((end - size, end))
    end -= size
  if end != 0:
    return None
  # the standard's CRC runs from the highest bit on, zlib's from the lowest; over an intact slice,
  # its checksum included, either comes to 0
  return all(zlib.crc32(packet[i:j].translate(MIRRORED), ALL) == ALL for i, j in ends)
