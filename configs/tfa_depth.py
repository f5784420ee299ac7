# Stage 2 for a task that the paper does not have: TFA, fusion and the prompts `ir` and `depth` in front of a frozen
# depth estimator, on the procedural scenes; then delta1 in haze and rain. About 11 minutes on one CPU core, a third of
# them the measurement.
#   python tools/train.py configs/tfa_depth.py
_base_ = "_base_/adaptation.py"
_depth_estimator = dict(
    config="configs/_base_/scenes_depth_model.py",
    checkpoint="unirestore/weights/scenes-depth/depth_estimator.safetensors",
)
model = dict(
    restorer=dict(weights="tiny-base"),
    task="depth",
    copy_from="det",
    task_weight=1.0,  # one term below 1, where a detector's add up to several
    downstream=dict(_delete_=True, type="FrozenDepthEstimator", **_depth_estimator),
)
_steps = 400
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR",
        eta_max=1.5e-3,
        total_steps=_steps,
        pct_start=0.1,
        div_factor=10,
        by_epoch=False,
    )
]
train_dataloader = dict(dataset=dict(sources=["scenes_train"], weights=None, resize=(1.0, 1.0), depth=True))
measure = dict(
    title="What restoration gives a depth estimator on the procedural scenes",
    depth_estimator=_depth_estimator,
    arms=["none", "dcp", "chain", "ir", "depth"],
    conditions=dict(
        haze=dict(set="scenes_test", weather=dict(name="haze", severity=3)),
        rain=dict(set="scenes_test", weather=dict(name="rain", severity=3)),
        clean=dict(set="scenes_test"),
    ),
    size=256,
    limit=200,
)
