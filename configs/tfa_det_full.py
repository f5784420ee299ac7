# The main job at the paper's size: TFA and prompts of an SD-Turbo-size restorer in front of your detector. For a GPU;
# on two CPU cores a step on two 256-pixel crops takes about a minute. Needs 10 GB.
#   python tools/train.py configs/tfa_det_full.py --cfg-options base_model=SD_TURBO stage1=STAGE1.ckpt
# Both are files of yours, see docs/authors_weights.md. With a folder that tools/convert_official.py
# wrote, in a config of yours:
#   _base_ = "tfa_det_full.py"
#   model = dict(restorer=dict(_delete_=True, weights="FOLDER"))
_base_ = "tfa_det.py"
shortcuts = dict(
    base_model=["model.restorer.official.base_model"],
    stage1=["model.restorer.official.stage1"],
    stage2=["model.restorer.official.stage2"],
)
model = dict(
    restorer=dict(_delete_=True, official=dict(base_model="sd-turbo", stage1="stage1.ckpt", stage2=None))
)
