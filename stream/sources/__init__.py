"""Where audio comes from: files, audio devices, simulated patients."""
