# Features mode: the restorer is the backbone; it is frozen, neck and head learn.
#   python tools/train.py configs/scenes_features.py
_base_ = "_base_/scenes_weather.py"
_config = "configs/_base_/scenes_features_model.py"
model = dict(detector=_config)
# the neck is new, so it takes longer
_steps = 1000
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(type="OneCycleLR", eta_max=2e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False)
]
measure = dict(
    title="Features mode: the detector reads restored features",
    detector=dict(
        config=_config, checkpoint="work_dirs/scenes_features/detector.safetensors", input_size=256
    ),
)
