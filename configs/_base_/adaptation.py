# Stage 2: what follows the latent learns what a frozen detector wants; the perception term keeps `ir` honest.
_base_ = "photos.py"
model = dict(
    type="AdaptationStage",
    task="det",
    task_weight=0.2,
    feature_weight=2.0,
    perception_weight=10.0,
    downstream=dict(type="FrozenDetector"),
)
# a softmax over D divides a prompt by about D in every TFA module: it needs a larger step than a convolution
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(lr_mult=3.0, decay_mult=0.0)}),
)
# a quarter of the crops stay clean: in front of a detector, leaving good photos alone is half of the job
train_dataloader = dict(dataset=dict(identity_probability=0.25))
