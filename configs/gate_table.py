# What the gate costs and keeps: the shipped restorer with and without it, in front of a frozen YOLOX-nano, on real
# weather and (gate_table_clean.py) on clean photos.
#   python tools/measure.py configs/gate_table.py configs/gate_table_clean.py \
#       --cfg-options measure.detector.checkpoint=yolox_nano_coco.pth
_detector = dict(
    config="mmdet::yolox/yolox_nano_8xb8-300e_coco.py", checkpoint="yolox_nano_coco.pth", input_size=640
)
measure = dict(
    title="Restore or not: the gate in front of YOLOX-nano",
    detector=_detector,
    arms=["none"],
    restorers={
        "all": dict(restorer="tiny"),
        "gate 0.3": dict(restorer="tiny", gate=0.3),
        "gate 0.5": dict(restorer="tiny", gate=0.5),
    },
    conditions=dict(fog=dict(set="dawn_fog"), rain=dict(set="dawn_rain")),
    size=640,
)
