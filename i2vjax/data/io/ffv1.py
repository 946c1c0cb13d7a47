"""Checksums of lossless FFV1 video.

The decoder notices a wrong checksum, but returns a guess of the frame all the same.
"""

import zlib

BIT_REVERSED = bytes(int(f'{k:08b}'[::-1], 2) for k in range(256))   # of each byte
FOOTER = 8            # bytes after each slice: size (3), status (1), checksum (4)
SIZE = 3              # of these alone, in files without checksums
ALL_ONES = 0xFFFFFFFF


def ffv1_intact(packet: bytes) -> bool | None:
  """Whether a frame of FFV1 (RFC 9043, section 4.9) fits its checksums.

  Args:
    packet: bytes of one coded frame: slices, each with its size and checksum at its end.

  Returns:
    True or False; None where the sizes do not add up: a file written without checksums, or, if
    other frames of it were True, damage to the sizes themselves.
  """
  slices = _slices(packet, FOOTER)
  if slices is None:
    return None
  # the standard's CRC runs from the highest bit on, zlib's from the lowest; over an intact slice,
  # its checksum included, either comes to 0
  return all(zlib.crc32(part.translate(BIT_REVERSED), ALL_ONES) == ALL_ONES for part in slices)


def sizes_fit(packet: bytes) -> bool:
  """True where the sizes in a frame of FFV1 add up, with checksums or without.

  Of version 3 on, which is told by what the file says of the codec ("extradata"), they must.
  """
  return any(_slices(packet, footer) is not None for footer in (FOOTER, SIZE))


def _slices(packet, footer):
  """The slices of a frame from the last to the first; None where their sizes do not add up."""
  slices, end = [], len(packet)
  while end >= footer:
    size = int.from_bytes(packet[end - footer:end - footer + SIZE], 'big') + footer
    slices.append(packet[end - size:end] if size <= end else b'')
    end -= size
  return slices if end == 0 else None
