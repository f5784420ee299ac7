# Joint against single, detection: car AP on DAWN's development half behind what tfa_joint.py trained for all tasks, and
# behind what it trained for detection alone.
#   python tools/measure.py configs/joint_det.py --cfg-options measure.detector.checkpoint=yolox_nano_coco.pth
#   python tools/measure.py configs/joint_seg.py configs/joint_cls.py
_base_ = "_base_/coco_classes.py"
measure = dict(
    title="Joint against single: detection",
    detector=dict(
        config="mmdet::yolox/yolox_nano_8xb8-300e_coco.py",
        checkpoint="yolox_nano_coco.pth",
        classes={{_base_.coco_classes}},
        input_size=640,
    ),
    arms=["none"],
    restorers={
        "single": dict(restorer="work_dirs/single_det/restorer"),
        "joint": dict(restorer="work_dirs/tfa_joint/restorer"),
    },
    conditions=dict(fog=dict(set="dawn_fog"), rain=dict(set="dawn_rain")),
    size=640,
)
