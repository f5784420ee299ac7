# Road weather on photos at the size of a detector, for stages that decode one task a batch: both stages of Uni-Removal.
_base_ = "photos.py"
# prompts are not weights: nothing pulls them to zero
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(decay_mult=0.0)}))
find_unused_parameters = True  # under DDP: a batch reads the prompt of one task
train_dataloader = dict(
    dataset=dict(
        sources=["camvid_train", "coco128_train"],
        weights=[2, 1],
        weather="road",
        size=320,
        long_side=640,
        resize=(0.6, 1.4),
    )
)
