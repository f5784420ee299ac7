# YOLOX-nano of COCO behind the shipped restorer, which learns with it and is saved with it.
_base_ = "photos_restored_model.py"
model = dict(data_preprocessor=dict(train_restorer=True))
