# DAWN (Kenk and Hassaballah, 2020, arXiv:2008.05402): real road photos in fog, rain, snow and sand with
# boxes; research use. Its boxes are only ever measured with. Its photos may calibrate a restorer without their boxes
# (configs/uniremoval_calibrate.py), in folds, so that none is measured by what it has taught. Name one of its sets to
# a tool (`dawn_fog`), or inherit this file and set `data_root`.
data_root = "data/dawn"

_classes = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_hint = (
    "DAWN is at https://data.mendeley.com/datasets/766ygrbt8y. Lay it out as "
    "DATA_ROOT/{fog,rain,snow,sand}/*.jpg and "
    "DATA_ROOT/annotations/{fog,rain,snow,sand}.json (COCO, file names such as fog/foggy-002.jpg, classes "
    "person, bicycle, car, "
    "motorcycle, bus, truck)"
)

eval_sets = dict(
    dawn_fog=dict(
        images=".",
        annotations="annotations/fog.json",
        classes=_classes,
        condition="fog",
        format="coco",
        hint=_hint,
    ),
    dawn_rain=dict(
        images=".",
        annotations="annotations/rain.json",
        classes=_classes,
        condition="rain",
        format="coco",
        hint=_hint,
    ),
    dawn_snow=dict(
        images=".",
        annotations="annotations/snow.json",
        classes=_classes,
        condition="snow",
        format="coco",
        hint=_hint,
    ),
    dawn_sand=dict(
        images=".",
        annotations="annotations/sand.json",
        classes=_classes,
        condition="sand",
        format="coco",
        hint=_hint,
    ),
)
