# Joint against single, segmentation: mIoU on CamVid val; see joint_det.py. `start` has no prompt `seg` yet.
_base_ = "tfa_seg.py"
measure = dict(
    title="Joint against single: segmentation",
    arms=["none"],
    restorers={
        "start, det": dict(restorer="tiny", task="det"),
        "single": dict(restorer="work_dirs/single_seg/restorer"),
        "joint": dict(restorer="work_dirs/tfa_joint/restorer"),
        "single, ir": dict(restorer="work_dirs/single_seg/restorer", task="ir"),
        "joint, ir": dict(restorer="work_dirs/tfa_joint/restorer", task="ir"),
    },
    conditions=dict(haze=dict(set="camvid_val"), rain=dict(set="camvid_val"), clean=dict(set="camvid_val")),
)
