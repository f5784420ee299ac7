# A detector for the procedural scenes that reads restored features: the restorer is its backbone, no picture is made.
custom_imports = dict(imports=["unirestore.mm"])
_base_ = "scenes_detector_model.py"
model = dict(
    backbone=dict(_delete_=True, type="UniRestoreBackbone", restorer="tiny-base", task="det"),
    neck=[
        dict(type="ChannelMapper", in_channels=[832], out_channels=64, kernel_size=1, num_outs=3),
        dict(
            type="YOLOXPAFPN", in_channels=[64, 64, 64], out_channels=64, num_csp_blocks=1, use_depthwise=True
        ),
    ],
)
