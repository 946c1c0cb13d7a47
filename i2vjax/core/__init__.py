"""What every other part stands on: state, devices, arrays, files."""
