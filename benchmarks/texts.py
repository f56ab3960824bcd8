"""The sentences of docs/benchmarks.md."""

INTRODUCTION = """\
# Benchmarks

Written by `make benchmarks` (`python -m benchmarks`) from docs/results/benchmarks.json, which it writes too;
every figure was measured in one run on one machine. Other machines have other figures; ratios travel better."""

QUICK = """\
**A quick run**: it shows that all of this works. Its figures mean nothing."""

GOALS = """\
Judged by the median. Where a goal is missed, the stages and the profile below say where the time goes."""

PEERS = """\
All hear the same seconds of four simulated patients, each rendered at the rate that it wants. Peers do other
tasks: what is compared is the cost of a second of audio, not how well it is heard. What each does stands below.
In brackets: an interval that holds the true median in 95 of 100 cases, from the order of the rounds."""

RATIOS = """\
CPU of Laennec for that of a peer, round by round: 0.2 means a fifth."""

STREAMS = """\
`stream.together.process`: so many streams, each at another place of the audio, hear half a second each, from
blocks at 4 kHz to events. *All stages*: resampler, level, front end, network, S1 and S2, rate and early beats,
spacing of sounds, quality, joining and deciding. *Classifier alone*: the same streams
without what is beside the classifier (`rhythm` and `extrasystole` left out of the bundle, the quality index taken
away): resampler, level, front end, network, joining and deciding."""

MEMORY = """\
Of a process that holds so many streams and nothing else, MB of 2^20 bytes; *begun* is before anything was
heard. The audio is held by the process too."""

LATENCY = """\
Wall clock, one stream: from handing over a block to having the decision that it completes; blocks that complete
none are not counted. This is computing alone; docs/design.md tells what the resampler holds back."""

STAGES = """\
CPU of each stage, timed in its place in the running pipeline (in loops of their own the stages find everything
in the caches, and cost half). What is not done by the functions that `benchmarks/stage_cost.py` names is
*everything else*."""

PROFILE = """\
Where Python's own profiler sees the time with {streams} streams together: own time by source file, and
functions of C by name. A profiler makes small functions look dearer than they are."""

ARCHIVE = """\
`laennec classify` on a folder of WAV files of 20 to 30 s, 16 bits at 4 kHz: seconds of recordings for a second of wall
clock from start to end of the command, and without the time that a single file for each process takes. By itself, on
a folder of yours: `python benchmarks/archive_rate.py FOLDER`."""

START = """\
Wall clock, all cores, of `laennec replay FILE --speed max --json` and `laennec --help`, files in the system's
cache."""

LIVE = """\
`laennec listen --plain` at {rate_hz:,} Hz on a private PulseAudio (`python benchmarks/live_cost.py`):
{rss_mb:.0f} MB, main thread {main_percent:.1f} % of a core, the threads of PortAudio and PulseAudio
{others_percent:.1f} %."""

METHOD = """\
## How it is measured

- Each contender is a process of its own (`benchmarks/worker.py`), pinned to one core, with every thread pool
  set to one thread. It warms up until its windows and memories are full, then waits; so imports and pools don't
  mix, and all are in memory.
- They take turns: a round of each, forwards and then backwards (`benchmarks/rounds.py`), so that whatever else
  the machine does hits all alike. CPU time is that of all threads (`time.process_time`); ratios are taken
  within a round.
- pytest-benchmark and asv time one function after the other in one process, or one process after the other:
  neither can alternate rounds between processes, and on a shared machine the clock drifts more between two
  minutes than what is to be told apart. So the rounds are our own.
- A peer that is not installed, or can't run here, is skipped by name with the reason. `pip install -c
  constraints.txt -e '.[peers]'` installs all of them.
- `python -m benchmarks --quick --out FILE.md --results FILE.json` is what the tests run: it takes about a minute,
  and writes there alone."""
