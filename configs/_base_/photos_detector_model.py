# YOLOX-nano of COCO that sees batches at the size they have.
_base_ = "mmdet::yolox/yolox_nano_8xb8-300e_coco.py"
model = dict(data_preprocessor=dict(batch_augments=None))
