# Stage 2 for a segmentor of Cityscapes: clean training photos, weather by the depth of their label maps.
_base_ = ["adaptation.py", "cityscapes_classes.py"]
# any segmentor of mmseg for Cityscapes; this is its smallest
_segmentor = dict(
    config="mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py",
    checkpoint="fast_scnn_cityscapes.pth",
    classes={{_base_.cityscapes_classes}},
)
model = dict(
    restorer="tiny",
    task="seg",
    copy_from="det",
    downstream=dict(_delete_=True, type="FrozenSegmentor", **_segmentor),
)
_steps = 2000
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR",
        eta_max=1.5e-3,
        total_steps=_steps,
        pct_start=0.1,
        div_factor=10,
        by_epoch=False,
    )
]
train_dataloader = dict(
    dataset=dict(
        sources=["cityscapes_seg_train"],
        weights=None,
        weather="mixed",
        size=512,
        long_side=1024,
        resize=(1.0, 1.6),
        label_map_classes={{_base_.cityscapes_classes}},
    )
)
measure = dict(segmentor=_segmentor, size=1024)
