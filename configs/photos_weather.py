# The row that users would otherwise choose, on photos: YOLOX-nano fine-tuned on weather, without a restorer.
#   python tools/train.py configs/photos_weather.py --cfg-options model.start_from=yolox_nano_coco.pth
_base_ = "_base_/photos_weather.py"
_config = "configs/_base_/photos_detector_model.py"
model = dict(detector=_config)
measure = dict(
    title="Without restoration: YOLOX-nano is fine-tuned on synthetic weather",
    detector=dict(config=_config, checkpoint="work_dirs/photos_weather/detector.safetensors"),
)
