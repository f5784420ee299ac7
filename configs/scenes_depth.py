# The frozen depth estimator of tfa_depth.py: clean procedural scenes, in front of all sorts of cameras but no weather.
# About 12 minutes on one CPU core.
#   python tools/train.py configs/scenes_depth.py
_base_ = "_base_/runtime.py"
_model = "configs/_base_/scenes_depth_model.py"
model = dict(
    type="DepthEstimatorStage",
    depth_estimator=_model,
    start_from="unirestore/weights/scenes-detector/detector.safetensors",  # its backbone; the head starts from nothing
)
_steps = 1200
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=3e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        weather=dict(name="mixed", clean=1.0),
        identity_probability=0.3,
        resize=(1.0, 1.0),  # metres need to know the lens
        depth=True,
    ),
)
custom_hooks = [dict(type="ExportDepthEstimator")]
measure = dict(
    title="The depth estimator on clean scenes",
    depth_estimator=dict(config=_model, checkpoint="work_dirs/scenes_depth/depth_estimator.safetensors"),
    arms=["none"],
    conditions=dict(clean=dict(set="scenes_val")),
)
