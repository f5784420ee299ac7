# The detector of the procedural scenes behind a restorer, as any mmdet config gets one.
custom_imports = dict(imports=["unirestore.mm"])
_base_ = "scenes_detector_model.py"
model = dict(data_preprocessor=dict(type="RestorationDetDataPreprocessor", restorer="tiny-base", task="det"))
