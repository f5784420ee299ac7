# Uni-Removal, stage 2: a restorer calibrated on your own real photos, without boxes and without clean twins. What it
# learns from beside them: clean photos (CamVid and COCO128 train). About 12 minutes on one free CPU core for `tiny`.
# See docs/calibrate_on_your_camera.md.
#   python tools/train.py configs/uniremoval_calibrate.py --cfg-options real_photos=FOLDER restorer=PATH
# `restorer`: a folder written by training, or shipped weights (default tiny). `real_photos`: a folder or a named set.
# `real_names`: a text file with one photo a line; only these are learnt from.
_base_ = "_base_/road.py"
shortcuts = dict(
    real_photos=["train_dataloader.dataset.real"],
    real_names=["train_dataloader.dataset.real_names"],
    restorer=["model.restorer"],
)
model = dict(type="CalibrationStage", restorer="tiny")
custom_hooks = [dict(type="ExportRestorer"), dict(type="FitPrototypes")]
_steps = 300
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=3e-4, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    dataset=dict(
        type="PairsBesideReal",
        real="data/real",
        identity_probability=0.5,
    )
)
