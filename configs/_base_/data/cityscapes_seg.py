# Cityscapes (Cordts et al., CVPR 2016) and Foggy Cityscapes (Sakaridis et al., IJCV 2018) with their label maps, in the
# layout of their archives; research use. The files hold labelIds; the 19 classes that count are taken by name. For
# files of labelTrainIds name those 19 and change label_map_suffix. Only `cityscapes_seg_train` may be trained on.
from unirestore.data.label_maps import CITYSCAPES_LABELS

data_root = "data/cityscapes"

_hint = (
    "register at https://www.cityscapes-dataset.com and take leftImg8bit_trainvaltest, gtFine_trainvaltest and "
    "leftImg8bit_trainvaltest_foggy. Lay them out as in the archives: "
    "DATA_ROOT/{leftImg8bit,leftImg8bit_foggy,gtFine}/{train,val}/CITY/*.png"
)


def _set(images, split, condition, end):
    return dict(
        images=f"{images}/{split}",
        label_maps=f"gtFine/{split}",
        label_map_names=CITYSCAPES_LABELS,
        label_map_suffix=(end, "_gtFine_labelIds"),
        pattern=f"*{end}.png",
        condition=condition,
        format="coco",
        hint=_hint,
    )


eval_sets = dict(
    cityscapes_seg_train=_set("leftImg8bit", "train", "clean", "_leftImg8bit"),
    cityscapes_seg_val=_set("leftImg8bit", "val", "clean", "_leftImg8bit"),
    **{
        f"foggy_cityscapes_seg_{beta}": _set(
            "leftImg8bit_foggy", "val", "fog", f"_leftImg8bit_foggy_beta_{beta}"
        )
        for beta in ("0.005", "0.01", "0.02")
    },
)
