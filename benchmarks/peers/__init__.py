"""What else one might run on a stream of audio, each with the interface of `benchmarks.contender`."""
