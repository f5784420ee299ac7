# Stage 1: CFRM, Controller and SC-Tuner (after pretrain_prior.py), at the size that the restorer works at.
# About 12 minutes on two CPU cores.
#   python tools/train.py configs/restore.py
_base_ = "_base_/photos.py"
model = dict(
    type="RestorationStage", restorer=dict(weights="work_dirs/pretrain_prior/restorer", working_scale=2)
)
train_dataloader = dict(batch_size=8)
