# Protocol 2: the detector retrained on restored pictures, the restorer frozen.
#   python tools/train.py configs/scenes_retrained.py
_base_ = "_base_/scenes_weather.py"
_config = "configs/_base_/scenes_restored_model.py"
model = dict(detector=_config)
measure = dict(
    title="Protocol 2: the detector is retrained on restored pictures",
    detector=dict(
        config=_config, checkpoint="work_dirs/scenes_retrained/detector.safetensors", input_size=256
    ),
)
