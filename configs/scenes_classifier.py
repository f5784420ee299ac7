# The frozen classifier of configs/tfa_cls.py: a small ShuffleNet on clean objects out of procedural scenes. About 8
# minutes on one CPU core.
#   python tools/train.py configs/scenes_classifier.py
_base_ = "_base_/runtime.py"
model = dict(
    type="ClassifierStage",
    classifier="shufflenet_v2_x0_5",
    classes=["person", "bicycle", "car", "motorcycle", "bus", "truck"],
    input_size=64,
)
_steps = 1500
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=4e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        sources=["scenes_objects_train"],
        weather=dict(name="mixed", clean=1.0),
        identity_probability=0.3,
        size=64,
        long_side=64,
        resize=(1.0, 1.2),
    ),
)
custom_hooks = [dict(type="ExportClassifier")]
