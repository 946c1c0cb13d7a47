"""What is known of frames besides their pixels: class maps, edge maps."""
