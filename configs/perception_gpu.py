# Stage 1b at four times the pixels and with a wider fusion: CFRM, TFA, fusion and prompts on many procedural scenes,
# for a GPU with 16 processors beside it (1,000 batches of 64 took four and a half minutes on an H200); half a day on
# two CPU cores. An experiment: it paints better and helps the detector little, see docs/measuring.md.
#   python tools/train.py configs/perception_gpu.py
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
_steps = 1500
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
    batch_size=64,
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
