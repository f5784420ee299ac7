# Stage 2 for a classifier: TFA, fusion and the prompts `ir` and `cls` in front of a frozen classifier, on objects cut
# out of the procedural scenes; then top-1 in haze and rain. About 10 minutes on one CPU core. For pictures of your own
# in the layout of ImageNet: docs/tasks.md.
#   python tools/train.py configs/tfa_cls.py
_base_ = "_base_/adaptation.py"
_classifier = dict(
    config="shufflenet_v2_x0_5",
    checkpoint="unirestore/weights/scenes-classifier/classifier.safetensors",
    classes=["person", "bicycle", "car", "motorcycle", "bus", "truck"],
    input_size=64,
)
model = dict(
    restorer=dict(weights="tiny-base", working_scale=1),
    task="cls",
    copy_from="det",
    downstream=dict(_delete_=True, type="FrozenClassifier", **_classifier),
)
_steps = 600
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR",
        eta_max=1.5e-3,
        total_steps=_steps,
        pct_start=0.1,
        div_factor=10,
        by_epoch=False,
    )
]
train_dataloader = dict(
    batch_size=16,
    dataset=dict(sources=["scenes_objects_train"], weights=None, size=64, long_side=64, resize=(1.0, 1.2)),
)
measure = dict(
    title="What restoration gives a classifier on objects of the procedural scenes",
    classifier=_classifier,
    conditions=dict(
        haze=dict(set="scenes_objects_test", weather=dict(name="haze", severity=3)),
        rain=dict(set="scenes_objects_test", weather=dict(name="rain", severity=3)),
        clean=dict(set="scenes_objects_test"),
    ),
    size=64,
    limit=600,
)
