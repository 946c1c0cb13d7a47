"""Windows of frames as training batches and test clips."""
