# The row that users would otherwise choose: the detector fine-tuned on degraded pictures, without a restorer.
#   python tools/train.py configs/scenes_weather.py
_base_ = "_base_/scenes_weather.py"
_config = "configs/_base_/scenes_detector_model.py"
model = dict(detector=_config)
measure = dict(
    title="Without restoration: the detector is fine-tuned on the weather itself",
    detector=dict(config=_config, checkpoint="work_dirs/scenes_weather/detector.safetensors", input_size=256),
)
