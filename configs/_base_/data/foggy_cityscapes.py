# Foggy Cityscapes (Sakaridis et al., IJCV 2018): the 500 validation photos of Cityscapes with synthetic fog,
# and the clean ones. Boxes are the bounding boxes of the instance masks, as COCO json; a rider counts as a
# person, as in COCO.
data_root = "data/foggy_cityscapes"

_classes = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_hint = (
    "register at https://www.cityscapes-dataset.com, take leftImg8bit_trainvaltest_foggy and gtFine, "
    "and convert the instance masks to COCO "
    "json. Lay it out as DATA_ROOT/{leftImg8bit_foggy,leftImg8bit}/val/CITY/*.png and "
    "DATA_ROOT/annotations/{foggy_val_beta_0.02,clean_val}.json with file names such as CITY/NAME.png"
)

eval_sets = dict(
    foggy_cityscapes=dict(
        images="leftImg8bit_foggy/val",
        annotations="annotations/foggy_val_beta_0.02.json",
        classes=_classes,
        label_names=dict(rider="person"),
        condition="fog",
        format="coco",
        hint=_hint,
    ),
    cityscapes_clean=dict(
        images="leftImg8bit/val",
        annotations="annotations/clean_val.json",
        classes=_classes,
        label_names=dict(rider="person"),
        condition="clean",
        format="coco",
        hint=_hint,
    ),
)
