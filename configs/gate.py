# The gate: which photos need no restoration. A restorer's encoder stays as it is, a small head on it learns to tell
# weather. About 15 minutes on one CPU core, most of it making pictures.
#   python tools/train.py configs/gate.py --cfg-options model.restorer.weights=work_dirs/tfa_photos/restorer
_base_ = "_base_/runtime.py"
model = dict(type="GateStage", restorer=dict(weights="tiny", gate_channels=32))
_steps = 600
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=3e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        sources=["camvid_train", "coco128_train", dict(set="scenes_train", limit=300)],
        weights=[1, 2, 1],
        weather=dict(name="any", clean=0.45),
        identity_probability=0.1,
        # a crop shows most of the photo, as the gate sees whole ones
        long_side=640,
        resize=(0.4, 0.7),
        size=256,
    ),
)
