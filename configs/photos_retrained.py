# Protocol 2 on photos: YOLOX-nano retrained behind the shipped restorer, which is frozen.
#   python tools/train.py configs/photos_retrained.py --cfg-options model.start_from=yolox_nano_coco.pth
_base_ = "_base_/photos_weather.py"
_config = "configs/_base_/photos_restored_model.py"
model = dict(detector=_config)
measure = dict(
    title="Protocol 2 on photos: YOLOX-nano is retrained on restored pictures",
    detector=dict(config=_config, checkpoint="work_dirs/photos_retrained/detector.safetensors"),
)
