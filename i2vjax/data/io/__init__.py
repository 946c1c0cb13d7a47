"""Files of pictures and films: reading, writing, where results may go."""
