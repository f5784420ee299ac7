# Stage 2 for a segmentor: TFA, fusion and the prompts `ir` and `seg` in front of a frozen segmentor of CamVid, from the
# shipped weights; then the gain in haze and rain on CamVid test. Needs CamVid, see _base_/data/camvid.py. About 35
# minutes on two CPU cores, half of them the measurement.
#   UNIRESTORE_DATA=/path/to/data python tools/train.py configs/tfa_seg.py
_base_ = ["_base_/adaptation.py", "_base_/camvid_classes.py"]
_segmentor = dict(
    config="configs/_base_/camvid_segmentor_model.py",
    checkpoint="unirestore/weights/camvid-segmentor/segmentor.safetensors",
    classes={{_base_.camvid_classes}},
)
model = dict(
    restorer="tiny",
    task="seg",
    copy_from="det",
    task_weight=1.0,  # one term of about 1, where a detector's add up to several
    downstream=dict(_delete_=True, type="FrozenSegmentor", **_segmentor),
)
_steps = 600
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
        sources=["camvid_train"],
        weights=None,
        weather="mixed",
        resize=(0.8, 1.4),
        label_map_classes={{_base_.camvid_classes}},
    )
)
measure = dict(
    title="What restoration gives a segmentor on CamVid test",
    segmentor=_segmentor,
    conditions=dict(
        haze=dict(set="camvid_test", weather=dict(name="haze", severity=3)),
        rain=dict(set="camvid_test", weather=dict(name="rain", severity=3)),
        clean=dict(set="camvid_test"),
    ),
)
