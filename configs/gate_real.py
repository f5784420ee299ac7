# The gate, with real photos of bad weather beside the made ones: they need no boxes and no clean twins.
#   python tools/make_folds.py --sets dawn_fog dawn_rain --whole dawn_snow dawn_sand
#   python tools/train.py configs/gate_real.py --cfg-options real_photos=dawn_snow,dawn_sand \
#       real_names=work_dirs/folds/both.txt
# Your own: real_photos=FOLDER real_names=None.
_base_ = "gate.py"
shortcuts = dict(
    real_photos=["train_dataloader.dataset.real"], real_names=["train_dataloader.dataset.real_names"]
)
train_dataloader = dict(
    dataset=dict(
        type="PairsBesideReal", real=["dawn_snow", "dawn_sand"], real_names="work_dirs/folds/both.txt"
    )
)
