# Stage 1b (ours): CFRM, TFA, fusion and prompts learn to restore for the eye, on procedural scenes and without any
# detector (after restore.py). What the adaptation on scenes starts from, working at their full size. A few minutes on a
# GPU with 16 processors beside it, half a day on two CPU cores.
#   python tools/train.py configs/perception.py
_base_ = "_base_/runtime.py"
model = dict(
    type="PerceptionStage",
    trains=["cfrm", "tfa", "prompts", "fusion"],
    restorer=dict(
        preset="tiny",
        start_from="work_dirs/restore/restorer",
        working_scale=1,
        fusion_channels=24,
        fusion_low_channels=64,
        fusion_blocks=6,
    ),
)
# prompts are not weights: nothing pulls them to zero
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(decay_mult=0.0)}))
find_unused_parameters = True  # under DDP: a batch reads the prompt of one task
_steps = 6000
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(type="OneCycleLR", eta_max=2e-3, total_steps=_steps, pct_start=0.05, div_factor=10, by_epoch=False)
]
train_dataloader = dict(
    batch_size=32,
    num_workers=15,
    prefetch_factor=4,
    dataset=dict(
        sources=["scenes_many"],
        candidates=["dcp", "clahe", "clahe_dcp"],
        weather="mixed",
        size=256,
        length=2_000_000,
        resize=(1.0, 1.4),
        identity_probability=0.1,
    ),
)
