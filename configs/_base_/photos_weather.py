# YOLOX-nano of COCO learns from synthetic road fog and rain on the clean photos of tfa_photos.py; then its car AP on
# real weather and its AP on clean COCO photos. What the protocols on photos share. Boxes on CamVid train come from
# tools/pseudo_label.py, see tfa_photos.py. Five to fifteen minutes on one CPU core.
_base_ = ["runtime.py", "coco_classes.py"]
model = dict(
    type="DetectorStage",
    classes={{_base_.coco_classes}},
    start_from="yolox_nano_coco.pth",
    jitter=False,
    norm_eval=True,  # YOLOX-nano's statistics do not survive batches of 4
)
_steps = 300
train_cfg = dict(max_iters=_steps)
# a trained detector whose gradients are large: at 2e-4 it is ruined
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=2e-5, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        sources=[dict(set="camvid_train", boxes="work_dirs/camvid_train_boxes.json"), "coco128_train"],
        weights=[2, 1],
        weather="road",
        identity_probability=0.25,
        size=320,
        long_side=640,
        resize=(0.6, 1.4),
    ),
)
custom_hooks = [dict(type="ExportDetector")]
measure = dict(
    detector=dict(classes={{_base_.coco_classes}}, input_size=640),
    arms=["none"],
    conditions=dict(
        fog=dict(set="dawn_fog"),
        rain=dict(set="dawn_rain"),
        clean=dict(set="coco128_val"),
    ),
    size=640,
)
