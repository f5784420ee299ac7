# The frozen segmentor of tfa_seg.py: clean CamVid train, in front of all sorts of cameras but no weather. About 25
# minutes on two CPU cores. Ends with its mIoU on clean CamVid val.
#   python tools/train.py configs/camvid_segmentor.py
#   python tools/train.py configs/camvid_segmentor.py --cfg-options model.start_from=YOLOX_NANO_COCO.pth   # as it ships
_base_ = ["_base_/runtime.py", "_base_/camvid_classes.py"]
_model = "configs/_base_/camvid_segmentor_model.py"
model = dict(
    type="SegmentorStage",
    segmentor=_model,
    classes={{_base_.camvid_classes}},
    # the ranges of mmseg's PhotoMetricDistortion
    jitter=dict(contrast=(0.5, 1.5), saturation=(0.5, 1.5), brightness=(-0.125, 0.125)),
)
_steps = 1800
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=3e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
optim_wrapper = dict(clip_grad=dict(max_norm=10.0))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        sources=["camvid_train"],
        weather=dict(name="mixed", clean=1.0),
        identity_probability=0.3,
        size=256,
        resize=(0.8, 1.8),
        label_map_classes={{_base_.camvid_classes}},
    ),
)
custom_hooks = [dict(type="ExportSegmentor")]
measure = dict(
    title="The segmentor on clean CamVid val",
    segmentor=dict(
        config=_model,
        checkpoint="work_dirs/camvid_segmentor/segmentor.safetensors",
        classes={{_base_.camvid_classes}},
    ),
    arms=["none"],
    conditions=dict(clean=dict(set="camvid_val")),
)
