"""What is read off nnU-Net's log while it trains; the lines are those of nnunetv2 2.8.1."""

from __future__ import annotations

import math

from SAM2AnnotateLib.nnunet.runs.training_log import TrainingLog

EPOCH = """\
2026-11-21 10:16:17.913719:
2026-11-21 10:16:17.913774: Epoch {epoch}
2026-11-21 10:16:17.913774: Current learning rate: 0.00536
2026-11-21 10:16:38.523558: train_loss {loss}
2026-11-21 10:16:38.526069: val_loss -0.6498
2026-11-21 10:16:38.526142: Pseudo dice [{dice}]
2026-11-21 10:16:38.526202: Epoch time: {seconds} s
2026-11-21 10:16:38.526244: Yayy! New best EMA pseudo Dice: 0.04010000079870224
"""


def epoch_lines(epoch, seconds=20.61, dice="np.float32(0.0416), np.float32(0.8417)", loss="0.8065"):
    return EPOCH.format(epoch=epoch, seconds=seconds, dice=dice, loss=loss).splitlines()


def fed(log, lines):
    return [progress for progress in map(log.feed, lines) if progress is not None]


def test_an_epoch_is_told_once_with_all_that_nnunet_prints():
    (progress,) = fed(TrainingLog(150), epoch_lines(3))
    assert (progress.epoch, progress.epochs, progress.train_loss, progress.val_loss) == (3, 150, 0.8065, -0.6498)
    assert progress.pseudo_dice == (0.0416, 0.8417)
    assert progress.epoch_seconds == 20.61


def test_the_dice_of_an_older_numpy_and_of_an_absent_label_are_read():
    (progress,) = fed(TrainingLog(2), epoch_lines(0, dice="0.5, nan, 1.0", loss="-1.2e-05"))
    assert (progress.pseudo_dice[0], progress.pseudo_dice[2], progress.train_loss) == (0.5, 1.0, -1.2e-05)
    assert math.isnan(progress.pseudo_dice[1])


def test_time_left_follows_the_pace_of_the_last_epochs():
    log = TrainingLog(10)
    paces = [100.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    told = fed(log, [line for epoch, seconds in enumerate(paces) for line in epoch_lines(epoch, seconds)])
    assert told[0].seconds_left == 900.0
    assert told[-1].seconds_left == 40.0


def test_a_resumed_training_counts_on_from_its_epoch():
    (progress,) = fed(TrainingLog(10), epoch_lines(8, seconds=5.0))
    assert (progress.epoch, progress.seconds_left) == (8, 5.0)


def test_other_lines_say_nothing_of_progress():
    lines = ["This is the configuration used by this training:", "Epoch", "Training done.", "Epoch time: 3.2 s", "{'epochs': 3}"]
    assert fed(TrainingLog(10), lines) == []


def test_an_epoch_that_was_cut_off_lends_nothing_to_the_next():
    (progress,) = fed(TrainingLog(10), [*epoch_lines(0)[:5], "Epoch 1", "Epoch time: 4.0 s"])
    assert progress.epoch == 1
    assert math.isnan(progress.train_loss)
    assert progress.pseudo_dice == ()
