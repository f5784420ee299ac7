# The small VAE on clean pictures. About 12 minutes on two CPU cores.
#   python tools/train.py configs/pretrain_vae.py
_base_ = "_base_/photos.py"
model = dict(type="AutoencoderStage", restorer=dict(preset="tiny", working_scale=1))
train_dataloader = dict(dataset=dict(identity_probability=1.0))
