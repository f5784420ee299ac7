# A YOLOX-nano for the six classes of the procedural scenes, at 256 px.
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(
    bbox_head=dict(num_classes=6),
    data_preprocessor=dict(batch_augments=None),
    test_cfg=dict(score_thr=0.01, nms=dict(type="nms", iou_threshold=0.65)),
)
