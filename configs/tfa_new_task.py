# Stage 3: a task that the restorer has never met costs one prompt. Here that is segmentation for the shipped `tiny`,
# which knows `ir` and `det`; both give the same pictures afterwards, bit for bit. Needs CamVid. About 20 minutes on one
# CPU core, most of it the measurement.
#   UNIRESTORE_DATA=/path/to/data python tools/train.py configs/tfa_new_task.py
_base_ = "tfa_seg.py"
model = dict(trains=["prompts.seg"], perception_weight=0.0)
_steps = 300
train_cfg = dict(max_iters=_steps)
# one vector: large steps do no harm
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=3e-2, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
measure = dict(title="What one prompt gives a segmentor on CamVid test")
