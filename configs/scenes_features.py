# Features mode: the restorer is the backbone; it is frozen, the convolutions between it and the neck, neck and head
# learn. About 25 minutes on one CPU core.
#   python tools/train.py configs/scenes_features.py
_base_ = "_base_/scenes_weather.py"
_config = "configs/_base_/scenes_features_model.py"
model = dict(detector=_config)
# what stands for a backbone is new, so it takes longer
_steps = 1500
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=2e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
measure = dict(
    title="Features mode: the detector reads restored features",
    detector=dict(
        config=_config, checkpoint="work_dirs/scenes_features/detector.safetensors", input_size=256
    ),
)
