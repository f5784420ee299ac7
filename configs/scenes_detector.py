# The frozen detector of the default run: YOLOX-nano on clean procedural scenes. About 12 minutes on two CPU cores.
#   python tools/train.py configs/scenes_detector.py
#   python tools/train.py configs/scenes_detector.py --cfg-options model.start_from=YOLOX_NANO_COCO.pth   # as it ships
_base_ = "_base_/runtime.py"
model = dict(
    type="DetectorStage",
    detector="configs/_base_/scenes_detector_model.py",
    classes=["person", "bicycle", "car", "motorcycle", "bus", "truck"],
)
train_cfg = dict(max_iters=1500)
param_scheduler = [
    dict(type="GroupOneCycleLR", eta_max=2e-3, total_steps=1500, pct_start=0.1, div_factor=10, by_epoch=False)
]
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        weather=dict(name="mixed", clean=1.0),
        identity_probability=0.3,
        resize=(0.8, 1.6),
        box_probability=0.3,
    ),
)
custom_hooks = [dict(type="ExportDetector")]
