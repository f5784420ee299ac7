# Stage 2 for a segmentor of Cityscapes, then its gain on Foggy Cityscapes val (500 photos at three densities), 1024
# pixels wide. For a GPU: on two CPU cores it takes a day. Needs both sets, see _base_/data/cityscapes_seg.py, and the
# checkpoint of mmseg's Fast-SCNN.
#   python tools/train.py configs/tfa_seg_foggy_cityscapes.py --cfg-options \
#       model.downstream.checkpoint=FAST_SCNN.pth measure.segmentor.checkpoint=FAST_SCNN.pth
_base_ = "_base_/cityscapes_adaptation.py"
measure = dict(
    title="What restoration gives a segmentor on Foggy Cityscapes",
    conditions={
        "beta 0.005": dict(set="foggy_cityscapes_seg_0.005"),
        "beta 0.01": dict(set="foggy_cityscapes_seg_0.01"),
        "beta 0.02": dict(set="foggy_cityscapes_seg_0.02"),
        "clean": dict(set="cityscapes_seg_val"),
    },
)
