# Stage 2: what follows the latent learns what a frozen detector wants; the perception term keeps `ir` honest.
_base_ = "photos.py"
model = dict(
    type="AdaptationStage",
    task="det",
    task_weight=0.5,
    feature_weight=2.0,
    perception_weight=3.0,
    downstream=dict(type="FrozenDetector"),
)
# prompts are not weights: nothing pulls them to zero
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(decay_mult=0.0)}))
# from maps that are constant over the picture to maps that look at it takes large steps
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=2.5e-3, total_steps=2000, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
# a fifth of the crops stays clean: in front of a detector, leaving good photos alone is half of the job
train_dataloader = dict(dataset=dict(identity_probability=0.2))
