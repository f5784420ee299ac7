"""YOLOX-tiny on COCO with a frozen restorer in front: mmdet's own config plus four lines.

    python tools/test.py configs/yolox_tiny_restored.py YOLOX_TINY.pth --show-dir drawn
    python tools/test.py configs/yolox_tiny_restored.py YOLOX_TINY.pth \
        --cfg-options model.data_preprocessor.restorer=None          # the row without restoration

Cost: the time of the restorer for each image; nothing is trained, the checkpoint stays as it is. Any other
mmdet config takes the place of `_base_`. The photos are expected in data/coco, as mmdet lays them out.
"""

_base_ = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"
custom_imports = dict(imports=["unirestore.mm"])

model = dict(data_preprocessor=dict(type="RestorationDetDataPreprocessor", restorer="tiny", task="det"))
default_hooks = dict(visualization=dict(type="RestoredVisualizationHook"))
