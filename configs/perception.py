# Stage 1b (ours): TFA, fusion and prompts learn to restore for the eye, on photos and scenes, without any detector
# (after restore.py). What the adaptation on scenes starts from. About 40 minutes on one CPU core.
#   python tools/train.py configs/perception.py
_base_ = "_base_/photos.py"
model = dict(type="PerceptionStage", restorer=dict(weights="work_dirs/restore/restorer", working_scale=2))
# prompts are not weights: nothing pulls them to zero
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(decay_mult=0.0)}))
find_unused_parameters = True  # under DDP: a batch reads the prompt of one task
_steps = 4000
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR",
        eta_max=2e-3,
        total_steps=_steps,
        pct_start=0.05,
        div_factor=10,
        by_epoch=False,
    )
]
train_dataloader = dict(
    dataset=dict(
        sources=["camvid_train", "coco128_train", "scenes_train"],
        weights=[1, 1, 4],
        resize=(0.8, 1.5),
        identity_probability=0.2,
    )
)
