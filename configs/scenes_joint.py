# Protocol 3: detector and restorer learn together, by the detector's loss alone.
#   python tools/train.py configs/scenes_joint.py
_base_ = "_base_/scenes_weather.py"
_config = "configs/_base_/scenes_joint_model.py"
model = dict(detector=_config)
# the restorer has learned for longer than it will now
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"data_preprocessor": dict(lr_mult=0.1)}))
measure = dict(
    title="Protocol 3: detector and restorer learn together",
    detector=dict(config=_config, checkpoint="work_dirs/scenes_joint/detector.safetensors", input_size=256),
)
