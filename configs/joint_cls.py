# Joint against single, classification: top-1 on objects of the procedural scenes; see joint_det.py.
_base_ = "tfa_cls.py"
measure = dict(
    title="Joint against single: classification",
    arms=["none"],
    restorers={
        "start, det": dict(restorer="tiny", task="det"),
        "single": dict(restorer="work_dirs/single_cls/restorer"),
        "joint": dict(restorer="work_dirs/tfa_joint/restorer"),
    },
)
