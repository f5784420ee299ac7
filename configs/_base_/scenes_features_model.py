# The detector of the procedural scenes with the restorer as its backbone: it reads restored features, not pictures.
# Neck and head are as they were, so they can start from the trained ones.
custom_imports = dict(imports=["unirestore.mm"])
_base_ = "scenes_detector_model.py"
model = dict(
    backbone=dict(
        _delete_=True, type="UniRestoreBackbone", restorer="tiny-base", task="det", pyramid=(64, 128, 256)
    ),
)
