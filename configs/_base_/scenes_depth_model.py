# A depth estimator of 0.5 million parameters for the procedural scenes, up to 80 m: YOLOX-nano's backbone, which may
# start as that of the shipped scenes-detector, under SegFormer's all-MLP head, which answers at a quarter of the size.
custom_imports = dict(imports=["unirestore.mm"])
model = dict(
    type="DepthEstimator",
    data_preprocessor=dict(type="SegDataPreProcessor", size_divisor=32, pad_val=114, seg_pad_val=0),
    backbone=dict(
        type="mmdet.CSPDarknet",
        deepen_factor=0.33,
        widen_factor=0.25,
        use_depthwise=True,
        out_indices=(1, 2, 3, 4),
    ),
    decode_head=dict(
        type="SegformerDepthHead",
        in_channels=[32, 64, 128, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.0,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        max_depth=80.0,
        loss_decode=dict(type="SiLogLoss"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
