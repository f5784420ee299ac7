# Uni-Removal, stage 2 with the detector's own loss: as uniremoval_calibrate_yolox.py, and the detector holds on the
# pairs what it had taught; on the real photos the restorer learns to show it at one size what it sees there at several.
# No boxes are given: the detector finds them.
#   DETECTOR=mmdet::yolox/yolox_nano_8xb8-300e_coco.py; WEIGHTS=yolox_nano_coco.pth
#   python tools/pseudo_label.py $DETECTOR $WEIGHTS --set camvid_train --size 960 --score 0.3 \
#       --out work_dirs/camvid_train_boxes.json
#   python tools/pseudo_label.py $DETECTOR $WEIGHTS --set FOLDER --restorer PATH --size 480 640 832 --score 0.3 \
#       --out work_dirs/real_boxes.json
#   python tools/train.py configs/uniremoval_self_training.py \
#       --cfg-options real_photos=FOLDER restorer=PATH detector=$WEIGHTS
_base_ = "uniremoval_calibrate_yolox.py"
shortcuts = dict(real_boxes=["train_dataloader.dataset.real_boxes"])
model = dict(
    tasks=["det", "det", "ir"],
    start_share=0.5,
    statistics_weight=0.1,
    paired_weight=0.1,
    colour_weight=1.0,
    match_weight=2.0,
    task_weight=0.5,
    self_weight=0.5,
)
train_dataloader = dict(
    dataset=dict(
        real_boxes="work_dirs/real_boxes.json",
        sources=[dict(set="camvid_train", boxes="work_dirs/camvid_train_boxes.json"), "coco128_train"],
    )
)
