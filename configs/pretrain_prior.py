# The small diffusion prior on latents of clean pictures (after pretrain_vae.py). About 4 minutes on two CPU cores.
#   python tools/train.py configs/pretrain_prior.py
_base_ = "_base_/photos.py"
model = dict(type="PriorStage", restorer="work_dirs/pretrain_vae/restorer")
train_dataloader = dict(batch_size=8, dataset=dict(identity_probability=1.0))
