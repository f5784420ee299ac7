# Clean COCO128 val for gate_table.py: all 80 classes, so that a loss shows.
_base_ = ["gate_table.py", "_base_/coco_classes.py"]
measure = dict(
    title="The gate on clean photos",
    detector=dict(classes={{_base_.coco_classes}}),
    conditions=dict(_delete_=True, clean=dict(set="coco128_val")),
)
