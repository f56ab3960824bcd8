"""Where results go: session log, recording, plain lines."""
