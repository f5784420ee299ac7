# The detector of the procedural scenes behind a restorer that learns with it and is saved with it.
_base_ = "scenes_restored_model.py"
model = dict(data_preprocessor=dict(train_restorer=True))
