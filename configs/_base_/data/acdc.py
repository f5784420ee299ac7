# ACDC (Sakaridis et al., ICCV 2021): road photos in real fog, night, rain and snow with the labels of Cityscapes, in
# the layout of its archives; research use. The validation photos, which nothing here trains on.
from unirestore.data.label_maps import CITYSCAPES_LABELS

data_root = "data/acdc"

_hint = (
    "register at https://acdc.vision.ee.ethz.ch and take rgb_anon_trainvaltest and gt_trainval. Lay them out as in the "
    "archives: DATA_ROOT/{rgb_anon,gt}/{fog,night,rain,snow}/val/SEQUENCE/*.png"
)

eval_sets = {
    f"acdc_{weather}": dict(
        images=f"rgb_anon/{weather}/val",
        label_maps=f"gt/{weather}/val",
        label_map_names=CITYSCAPES_LABELS,
        label_map_suffix=("_rgb_anon", "_gt_labelIds"),
        pattern="*_rgb_anon.png",
        condition=weather,
        format="coco",
        hint=_hint,
    )
    for weather in ("fog", "night", "rain", "snow")
}
