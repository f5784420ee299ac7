# YOLOX-nano of COCO behind the shipped restorer.
custom_imports = dict(imports=["unirestore.mm"])
_base_ = "photos_detector_model.py"
model = dict(data_preprocessor=dict(type="RestorationDetDataPreprocessor", restorer="tiny", task="det"))
