# Clean photos with synthetic weather: what the shipped restorer learns from.
# CamVid and COCO128 train, never their val or test.
_base_ = "runtime.py"
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        sources=["camvid_train", "coco128_train", dict(set="scenes_train", limit=300)],
        weights=[2, 1, 1],
        weather="mixed",
        size=256,
    ),
)
