# Stage 2 for a segmentor of Cityscapes, then its gain on ACDC val: real fog, rain, snow and night, 1024 pixels wide.
# For a GPU: on two CPU cores it takes a day. Needs Cityscapes and ACDC, see _base_/data/, and the checkpoint of mmseg's
# Fast-SCNN.
#   python tools/train.py configs/tfa_seg_acdc.py --cfg-options \
#       model.downstream.checkpoint=FAST_SCNN.pth measure.segmentor.checkpoint=FAST_SCNN.pth
_base_ = "_base_/cityscapes_adaptation.py"
measure = dict(
    title="What restoration gives a segmentor on ACDC",
    conditions=dict(
        fog=dict(set="acdc_fog"),
        rain=dict(set="acdc_rain"),
        snow=dict(set="acdc_snow"),
        night=dict(set="acdc_night"),
    ),
)
