"""Frame sources: folders, films, records; and how their frames are found."""
