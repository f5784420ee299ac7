# A segmentor of 0.5 million parameters for the 11 classes of CamVid: YOLOX-nano's backbone, whose COCO weights it can
# start from, under SegFormer's all-MLP head (Xie et al., NeurIPS 2021), which answers at a quarter of the size.
_classes = 11
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="SegDataPreProcessor", size_divisor=32, pad_val=114, seg_pad_val=255),
    backbone=dict(
        type="mmdet.CSPDarknet",
        deepen_factor=0.33,
        widen_factor=0.25,
        use_depthwise=True,
        out_indices=(1, 2, 3, 4),
    ),
    decode_head=dict(
        type="SegformerHead",
        in_channels=[32, 64, 128, 256],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.1,
        num_classes=_classes,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(
            type="CrossEntropyLoss",
            # one by the square root of each class's share of the pixels of camvid_train, of mean 1 over the pixels
            class_weight=[0.88, 0.75, 3.63, 0.64, 1.7, 1.15, 3.32, 3.39, 1.49, 4.5, 6.66],
        ),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
