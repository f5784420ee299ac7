# Stage 2 on photos: TFA, fusion and the prompts `ir` and `det` in front of a frozen YOLOX-nano (after restore.py),
# then the gain on real weather. This is how the shipped weights are made. About 40 minutes on one CPU core.
#   DETECTOR=mmdet::yolox/yolox_nano_8xb8-300e_coco.py; WEIGHTS=yolox_nano_coco.pth
#   python tools/pseudo_label.py $DETECTOR $WEIGHTS --set camvid_train --size 960 --score 0.3 \
#       --out work_dirs/camvid_train_boxes.json
#   python tools/train.py configs/tfa_photos.py \
#       --cfg-options model.downstream.checkpoint=$WEIGHTS measure.detector.checkpoint=$WEIGHTS
_base_ = ["_base_/adaptation.py", "_base_/coco_classes.py"]
_detector = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(
    restorer=dict(weights="work_dirs/restore/restorer", working_scale=2),
    downstream=dict(config=_detector, checkpoint="yolox_nano_coco.pth", classes={{_base_.coco_classes}}),
)
_steps = 1500
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
train_dataloader = dict(
    dataset=dict(
        weather="road",
        identity_probability=0.25,
        size=320,
        sources=[dict(set="camvid_train", boxes="work_dirs/camvid_train_boxes.json"), "coco128_train"],
        weights=[2, 1],
        long_side=640,
        resize=(0.6, 1.4),
    )
)
measure = dict(
    title="What restoration gives YOLOX-nano on real weather",
    detector=dict(config=_detector, checkpoint="yolox_nano_coco.pth", input_size=640),
    conditions=dict(
        fog=dict(set="dawn_fog"),
        rain=dict(set="dawn_rain"),
        snow=dict(set="dawn_snow"),
        sand=dict(set="dawn_sand"),
    ),
    size=640,
)
