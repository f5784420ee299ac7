# Uni-Removal, stage 2 in front of a detector: as uniremoval_calibrate.py, but what is clean and what is degraded is
# judged by the frozen detector's neck features.
#   python tools/train.py configs/uniremoval_calibrate_yolox.py \
#       --cfg-options real_photos=FOLDER restorer=PATH detector=yolox_nano_coco.pth
_base_ = ["uniremoval_calibrate.py", "_base_/coco_classes.py"]
shortcuts = dict(detector=["model.network.checkpoint"])
model = dict(
    network=dict(
        type="FrozenDetector",
        config="mmdet::yolox/yolox_nano_8xb8-300e_coco.py",
        checkpoint="yolox_nano_coco.pth",
        classes={{_base_.coco_classes}},
    )
)
