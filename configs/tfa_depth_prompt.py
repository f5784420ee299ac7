# Stage 3: depth by one prompt, everything else as it was; see tfa_new_task.py. About 8 minutes on one CPU core, a third
# of them the measurement.
#   python tools/train.py configs/tfa_depth_prompt.py
_base_ = "tfa_depth.py"
model = dict(trains=["prompts.depth"], perception_weight=0.0)
# one vector: large steps do no harm
param_scheduler = [
    dict(type="GroupOneCycleLR", eta_max=3e-2, total_steps=400, pct_start=0.1, div_factor=10, by_epoch=False)
]
measure = dict(title="What one prompt gives a depth estimator on the procedural scenes")
