# What all stages share: iterations, atomic checkpoints, the restorer saved at the end, progress with ETA.
custom_imports = dict(imports=["unirestore.mm", "unirestore.training"])
default_scope = "mmengine"
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=1))
log_processor = dict(by_epoch=False, window_size=50)
log_level = "INFO"
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=50),
    checkpoint=dict(
        type="CheckpointHook",
        by_epoch=False,
        interval=200,
        max_keep_ckpts=2,
        save_last=True,
        backend_args=dict(backend="atomic"),
    ),
)
custom_hooks = [dict(type="ExportRestorer")]
visualizer = None

_steps = 2000
train_cfg = dict(type="IterBasedTrainLoop", max_iters=_steps, val_interval=10**9)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-2),
    clip_grad=dict(max_norm=1.0),
)
# OneCycle with a cosine, as in the paper: a tenth of the steps up from a tenth of the rate
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=1e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(
        type="InfiniteSampler", shuffle=False
    ),  # item n is random in itself; resuming skips to its place
    collate_fn=dict(type="collate_pairs"),
    dataset=dict(type="Pairs", sources=["scenes_train"], size=256, length=200_000),
)
