# The main job on the embedded scenes: TFA and the prompts `ir` and `det` in front of a frozen detector, then the gain
# in haze and rain. About 15 to 25 minutes on two CPU cores, all included. `make tfa-det` does the same from nothing.
#   python tools/train.py configs/tfa_det.py
_base_ = "_base_/adaptation.py"
_classes = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
_detector = dict(
    config="configs/_base_/scenes_detector_model.py",
    checkpoint="unirestore/weights/scenes-detector/detector.safetensors",
    classes=_classes,
)
model = dict(restorer=dict(weights="tiny-base"), downstream=dict(**_detector))
_steps = 1000
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
train_dataloader = dict(dataset=dict(sources=["scenes_train"], weights=None, resize=(1.0, 1.3)))
measure = dict(
    title="What restoration gives a detector on the procedural scenes",
    detector=dict(**_detector, input_size=256),
    conditions=dict(
        haze=dict(set="scenes_test", weather=dict(name="haze", severity=3)),
        rain=dict(set="scenes_test", weather=dict(name="rain", severity=3)),
        clean=dict(set="scenes_test"),
    ),
    size=256,
    limit=200,
)
