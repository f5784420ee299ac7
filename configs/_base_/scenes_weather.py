# A detector of the procedural scenes that learns from weather: 500 steps on haze and rain, from the shipped weights;
# then its AP on hazy, rainy and clean test scenes. What the protocols of docs/tasks.md share. About 10 minutes on one
# CPU core.
_base_ = "../scenes_detector.py"
_weights = "unirestore/weights/scenes-detector/detector.safetensors"
model = dict(start_from=_weights, jitter=False)
_steps = 500
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=1e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    dataset=dict(weather=dict(clean=0.0), identity_probability=0.15, resize=(1.0, 1.3)),
)
measure = dict(
    arms=["none"],
    conditions=dict(
        haze=dict(set="scenes_test", weather=dict(name="haze", severity=3)),
        rain=dict(set="scenes_test", weather=dict(name="rain", severity=3)),
        clean=dict(set="scenes_test"),
    ),
    size=256,
    limit=200,
)
