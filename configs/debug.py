# Every part of the main job in little, to see that all is in place: ten steps of the adaptation stage on
# eight scenes with untrained restorer and detector, then the table on eight others: its figures mean nothing.
# About 30 seconds on two CPU cores, start included.
#   python tools/train.py configs/debug.py
_base_ = "_base_/adaptation.py"
_detector = dict(
    config="configs/_base_/scenes_detector_model.py",
    checkpoint=None,
    classes=["person", "bicycle", "car", "motorcycle", "bus", "truck"],
    score_thr=0.0,
)
model = dict(restorer=dict(preset="tiny", block_out_channels=(8, 8, 8, 8)), downstream=_detector)
train_cfg = dict(max_iters=10)
param_scheduler = [
    dict(type="GroupOneCycleLR", eta_max=1e-3, total_steps=10, pct_start=0.3, div_factor=10, by_epoch=False)
]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=5))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(sources=[dict(set="scenes_train", limit=8)], weights=None, size=128),
)
measure = dict(
    title="A trial run: untrained weights, eight scenes",
    detector=dict(**_detector, input_size=256),
    conditions=dict(
        haze=dict(set="scenes_val", weather="haze"),
        rain=dict(set="scenes_val", weather="rain"),
        clean=dict(set="scenes_val"),
        fog=dict(set="dawn_fog", optional=True),
    ),
    arms=["none", "clahe", "ir", "det"],
    size=256,
    limit=8,
    resamples=100,
)
