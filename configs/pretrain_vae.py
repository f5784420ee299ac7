# The small VAE on clean pictures. About 12 minutes on two CPU cores.
#   python tools/train.py configs/pretrain_vae.py
_base_ = "_base_/runtime.py"
model = dict(type="AutoencoderStage", restorer=dict(preset="tiny"))
train_dataloader = dict(
    dataset=dict(
        sources=["camvid_train", "coco128_train", dict(set="scenes_train", limit=300)],
        weights=[2, 1, 1],
        identity_probability=1.0,
    )
)
