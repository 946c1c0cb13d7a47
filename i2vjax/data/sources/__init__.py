"""Frame sources: folders, videos, records; and how their frames are located."""
