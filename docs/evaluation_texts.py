"""What docs/evaluation.md says beside the figures; `figures.py` puts it together."""

from __future__ import annotations

INTRODUCTION = """# Evaluation

Written by `make figures` from the files in `docs/results/`, which `make results` makes from the recordings. Each
protocol is one command:

```
laennec evaluate --protocol NAME --data pascal=DIR --data circor=DIR --data noise=DIR --json docs/results/NAME.json
```

- **A fold's model is made as the shipped one is** (`learn` in `train/nested.py`): the network, the kernel machine that
  judges how the sounds are spaced, the weights that join them to calibrated probabilities, the threshold for
  abstaining. Whatever is fitted on answers is fitted on those that networks gave in 3 inner grouped folds of the
  training side; the network that answers has learned from all of the training side. No epoch is chosen: the last
  averaged weights count. The network that finds S1 and S2 holds out the tested persons too; what early beats weigh is
  measured on those that it learned from.
- The settings are the defaults of `train/config.py`, the same for every fold and for the shipped model. Between
  the two recipes there, which differ in how much of each source is learned from, the inner folds choose, for every
  model anew (`cross-device` takes the first). The two are nearly even: the shipped model took `even`, and most models
  below the other one, so the figures are those of the procedure, not of the shipped shares.
- **What was chosen by looking:** these settings, the two recipes among them, were compared on folds of the same
  recordings, and `docs/decisions.md` lists every comparison. So the figures are optimistic, by an amount that they
  can't tell themselves.
- `laennec compare A.json B.json` sets two such results against each other: the difference of each score, with its
  paired interval.
- *Likeliest class* answers always. *Rare classes favoured* adds an amount to each class's log probability, chosen on
  the inner folds for the highest sum of accuracy and macro-F1. *Abstaining* leaves out what is less probable than a
  threshold, chosen on the inner folds for an error rate of 10 %.
- A patient's answer comes from a *rule*: a regression on what the model says of the sites and on the signal's quality,
  fitted on the inner folds too. The answer weighs its probabilities by what a miss costs: present 5, unknown 3, absent
  1 for weighted accuracy, the inverse shares for balanced accuracy.
- *Seconds heard* and changes a minute are those of the answer that stands in the stream: smoothed as a listener sees
  it, but never abstaining. All rows of a column there are of the same recordings.
- Scores are means over the seeds where not said otherwise. Intervals are 95 % percentile intervals of a bootstrap
  over groups (patients, days), 2,000 resamples (500 for AUROC, calibration error and other statistics that are no
  ratio). They tell how much other recordings might change a score, not how much a re-trained network might.
- Balanced accuracy and macro-F1 run over the classes that occur in the truth.
- Of CirCor only the first 16 s of a recording are used: in our copy recordings without a murmur are cut there, and
  length alone would tell most murmurs. The baseline *nuisance only* shows what is left of that.
- *Nuisance only* is a forest that sees duration, sample rate, level, peak, DC and clipping of a file, and nothing of
  its sound: what it scores is what the way of recording gives away.
- Curves are drawn from the answers of all seeds together; so the areas beside them differ a little from the means over
  seeds in the tables.

What the figures can't say:

- **The device tells part of the label.** PASCAL's recordings of `artifact` and `extra_heart_sound` all come from set
  A's phone app, those of `extrasystole` from set B's stethoscope. A network that knows the device has ruled classes
  out before it hears a heart. So a class is set against normal within one set; `leakage` measures what is known, and
  `new-device` what it does to someone with another device.
- **Set A's murmurs are mostly one session** (23 of 34 were made in one evening). Its figures for murmur are those of
  very few hearts, and their intervals say little.
- **Balanced accuracy is easily had without hearing.** In `seed-split` the forest *nuisance only* has more of it than
  the network, and in `pascal-grouped` about as much: files of the rare classes differ in length, level and rate.
- CirCor's patients are children and young adults, heard with one model of stethoscope.
"""

SIGNAL_INTRODUCTION = """# The heart's clock and the signal

```
laennec evaluate --protocol timing --data pascal=DIR --data circor=DIR --data noise=DIR --json docs/results/timing.json
laennec evaluate --protocol quality --data pascal=DIR --data circor=DIR --data noise=DIR --json FILE
```

- A found onset is right if it lies within the tolerance of an annotated one of the same sound, one to one. Only
  annotated spans count: CirCor's annotators marked the parts that they could, about 58 % of the audio, so the figures
  are of signal that a person could read. Recordings without any annotation (115 of 2,259) are left out.
- *Stream* is what a listener gets: causal, block by block. *Whole recording, duration model* gives the same network's
  answers to a decoder that hears everything before it answers and knows how long systole and diastole last. *Envelope
  peaks* takes every peak of the loudness for a heart sound, and the shorter gap for systole; it hears everything too.
- A heart rate is that of the newest 10 s of a recording's longest annotated span, against the median cycle between the
  annotated S1s there.
- **What was chosen by looking:** the network's size, its lookahead and the threshold were compared on one fold of
  these persons (a fifth of them; docs/decisions.md); the measures of the quality index on the recordings reported
  here. So these figures are optimistic by a little.
- Set A of PASCAL marks the middle of each sound; half of the sound's median length in CirCor is taken off.
"""

BEATS = """![S1 and S2 found in three recordings](beats.png)

Drawn by `make plots` with the shipped network, which learned from CirCor. PASCAL's set B has no annotated beats.
"""

QUALITY = """What was tried in place of one of the five measures, as AUROC at 0 dB on a smaller set, where ours had .90:
kurtosis instead of concentration .87 to .90; sample entropy instead of mobility .886; the plain height of the
autocorrelation's peak .900 (and .741 instead of .780 for noisy against clean sub-labels); all textbook measures with a
band ratio .870.
"""

#: Protocol and section -> name of the picture below it, and what is seen there.
PICTURES = {
    ("pascal-grouped", "Confusion, likeliest class"): (
        "pascal-confusion",
        "two matrices of labelled against answered classes, shaded by the share of each labelled class: the likeliest "
        "class, and rare classes favoured",
    ),
    ("pascal-grouped", "One class against normal, within one set"): (
        "pascal-curves",
        "ROC curves and precision-recall curves of the five classes, each against all others",
    ),
    ("pascal-grouped", "How sure it is"): (
        "pascal-sureness",
        "left, the share of right answers over the probability told, beside the diagonal; right, the error rate over "
        "the share answered, with the point of the fitted threshold",
    ),
    ("pascal-grouped", "Seconds heard"): (
        "pascal-seconds",
        "accuracy with intervals after 1 to 12 seconds and after all of the recording",
    ),
    ("circor-patients", "Patients"): (
        "circor-ranking",
        "left, the ROC curve of patients with a murmur against those without, with the points of the two ways to "
        "answer; right, AUROC with intervals by auscultation site and age",
    ),
    ("circor-patients", "Patients' answers"): (
        "circor-confusion",
        "two matrices of labelled against answered: absent, unknown, present; for weighted and for balanced accuracy",
    ),
    ("new-device", ""): (
        "new-device",
        "stacked bars of what normal recordings are called by models that never heard their source, per source",
    ),
}
#: Below a section; what a reader of the picture or table there must know.
NOTES = {
    (
        "new-device",
        "",
    ): "The network that finds S1 and S2 learned from all of CirCor; with CirCor left out there is none, "
    "and early beats count nothing.",
    ("pascal-grouped", "One class against normal, within one set"): "The curves set each class against all others of "
    "both sets, so for `artifact`, `extra_heart_sound` and `extrasystole` they hold what the device gives away.",
    ("circor-patients", "Recordings by site and by age"): "Recordings of patients of unknown age are in no row.",
    (
        "leakage",
        "Length and level",
    ): "Each recording is cut to the length, or shifted to the level, of another one drawn "
    "at random; the network takes the level off, so that is no surprise. Early beats do not count here, so that the "
    "answers differ a little from those of `pascal-grouped`.",
}
