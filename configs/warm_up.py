# Stage 2, first half: TFA, fusion and the prompt `ir` learn what haze is from pixels alone, which is cheap (after restore.py).
# About 6 minutes on two CPU cores.
#   python tools/train.py configs/warm_up.py
_base_ = "_base_/photos.py"
model = dict(
    type="AdaptationStage",
    restorer=dict(weights="work_dirs/restore/restorer", working_scale=2),
    downstream=None,
    task_weight=0.0,
    feature_weight=0.0,
)
train_dataloader = dict(
    batch_size=6, dataset=dict(identity_probability=0.2, long_side=640, resize=(0.5, 1.2))
)
