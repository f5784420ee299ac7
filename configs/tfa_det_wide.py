# The main job from `tiny-scenes`, a start that works at the scenes' full size and learned longer, on a GPU: better and
# two to three times as slow as `tiny-base`. About 20 minutes on two CPU cores.
#   python tools/train.py configs/tfa_det_wide.py
_base_ = "tfa_det.py"
model = dict(restorer=dict(weights="tiny-scenes"))
_steps = 250
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR",
        eta_max=1.5e-3,
        total_steps=_steps,
        pct_start=0.1,
        div_factor=10,
        by_epoch=False,
    )
]
