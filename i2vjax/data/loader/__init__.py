"""Windows of frames: training batches, sample sheets, test clips."""
