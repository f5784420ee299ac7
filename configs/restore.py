# Stage 1: CFRM, Controller and SC-Tuner (after pretrain_prior.py). About 15 minutes on two CPU cores.
#   python tools/train.py configs/restore.py
_base_ = "_base_/photos.py"
model = dict(type="RestorationStage", restorer="work_dirs/pretrain_prior/restorer")
