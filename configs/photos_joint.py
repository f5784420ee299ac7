# Protocol 3 on photos: YOLOX-nano and the shipped restorer learn together, by the detector's loss alone.
#   python tools/train.py configs/photos_joint.py --cfg-options model.start_from=yolox_nano_coco.pth
_base_ = "_base_/photos_weather.py"
_config = "configs/_base_/photos_joint_model.py"
model = dict(detector=_config)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"data_preprocessor": dict(lr_mult=0.5)}))
measure = dict(
    title="Protocol 3 on photos: YOLOX-nano and restorer learn together",
    detector=dict(config=_config, checkpoint="work_dirs/photos_joint/detector.safetensors"),
)
