"""Speed and memory, against peers and by ourselves: `python -m benchmarks` measures and writes docs/benchmarks.md."""
