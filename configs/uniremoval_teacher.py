# A teacher of Uni-Removal: the shipped restorer, specialised on one family of weather in front of the frozen detector.
# The families are `road_fog` (default) and `road_rain`; about 10 minutes each on one CPU core. Needs what tfa_photos.py
# needs.
#   python tools/train.py configs/uniremoval_teacher.py --work-dir work_dirs/teacher_road_rain \
#       --cfg-options train_dataloader.dataset.weather=road_rain \
#       model.downstream.checkpoint=$WEIGHTS measure.detector.checkpoint=$WEIGHTS
_base_ = "tfa_photos.py"
model = dict(
    restorer=dict(_delete_=True, weights="tiny"), task_weight=1.0, feature_weight=0.5, perception_weight=2.0
)
_steps = 350
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=8e-4, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(dataset=dict(weather="road_fog", seed=3))
randomness = dict(seed=3)
