"""Checksums of lossless FFV1 video.

The decoder notices a wrong checksum, but returns a guess of the frame all the same.
"""

import zlib

BIT_REVERSED = bytes(int(f'{k:08b}'[::-1], 2) for k in range(256))   # of each byte
FOOTER = 8            # bytes after each slice: size (3), status (1), checksum (4)
ALL_ONES = 0xFFFFFFFF


def ffv1_intact(packet: bytes) -> bool | None:
  """Whether a frame of FFV1 (RFC 9043, section 4.9) fits its checksums.

  Args:
    packet: bytes of one coded frame: slices, each with its size and checksum at its end.

  Returns:
    True or False; None where the sizes do not add up: a file written without checksums, or, if
    other frames of it were True, damage to the sizes themselves.
  """
  slices, end = [], len(packet)
  while end >= FOOTER:
    size = int.from_bytes(packet[end - FOOTER:end - FOOTER + 3], 'big') + FOOTER
    slices.append(packet[end - size:end])
    end -= size
  if end != 0:
    return None
  # the standard's CRC runs from the highest bit on, zlib's from the lowest; over an intact slice,
  # its checksum included, either comes to 0
  return all(zlib.crc32(part.translate(BIT_REVERSED), ALL_ONES) == ALL_ONES for part in slices)
