# Uni-Removal, stage 1: a student cheaper than the detector behind it learns from clean photos and from one teacher per
# family of weather (configs/teachers; make theirs first with uniremoval_teacher.py). About 30 minutes on one CPU core
# and another for the data. See docs/uniremoval.md.
#   python tools/train.py configs/uniremoval_distill.py --cfg-options detector=yolox_nano_coco.pth
# Ablation "without IGCL": model.contrast_weight=0 model.image_contrast_weight=0. Without any detector:
# model.network=None. Your own teachers: teachers=FOLDER.
_base_ = ["_base_/road.py", "_base_/coco_classes.py"]
_detector = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
shortcuts = dict(
    detector=["model.network.checkpoint", "measure.detector.checkpoint"], teachers=["model.teachers"]
)
model = dict(
    type="DistillationStage",
    restorer=dict(preset="tiny-fast", start_from="tiny"),
    teachers=["configs/teachers/road_fog.py", "configs/teachers/road_rain.py"],
    network=dict(
        type="FrozenDetector",
        config=_detector,
        checkpoint="yolox_nano_coco.pth",
        classes={{_base_.coco_classes}},
    ),
    tasks=["det", "det", "ir"],
    clean_weight=dict(det=0.3, ir=1.0),
    teacher_weight=dict(det=1.0, ir=0.3),
    match_weight=0.2,
)
_steps = 1500
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=1e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    dataset=dict(
        identity_probability=0.2,
    )
)
measure = dict(
    title="What the student gives YOLOX-nano on real weather",
    detector=dict(config=_detector, checkpoint="yolox_nano_coco.pth", input_size=640),
    conditions=dict(fog=dict(set="dawn_fog"), rain=dict(set="dawn_rain")),
    size=640,
)
