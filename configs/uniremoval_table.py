# The table of Uni-Removal: teachers, student, main restorer, each before and after calibration, in front of a frozen
# YOLOX-nano on real fog and rain (two folds) and on synthetic weather, where a clean photo gives PSNR.
#   python tools/measure.py configs/uniremoval_table.py configs/uniremoval_table_clean.py \
#       --cfg-options measure.detector.checkpoint=yolox_nano_coco.pth
# What it needs, and how to make it: docs/uniremoval.md. Rows whose weights were not made are left out with a note.
_detector = dict(
    config="mmdet::yolox/yolox_nano_8xb8-300e_coco.py", checkpoint="yolox_nano_coco.pth", input_size=640
)
measure = dict(
    title="Uni-Removal in front of YOLOX-nano",
    detector=_detector,
    arms=["none", "clahe", "dcp", "mix"],
    restorers={
        "fog teacher": dict(restorer="work_dirs/teacher_road_fog/restorer", optional=True),
        "rain teacher": dict(restorer="work_dirs/teacher_road_rain/restorer", optional=True),
        "student with IGCL": dict(restorer="work_dirs/student_igcl/restorer", optional=True),
        "student": dict(restorer="tiny-fast"),
        "student + CGCL": dict(
            fitted=dict(A="work_dirs/student_cgcl_a/restorer", B="work_dirs/student_cgcl_b/restorer"),
            optional=True,
        ),
        "main": dict(restorer="tiny"),
        "main + CGCL": dict(
            fitted=dict(A="work_dirs/main_cgcl_a/restorer", B="work_dirs/main_cgcl_b/restorer"), optional=True
        ),
    },
    folds=dict(A="work_dirs/folds/a.txt", B="work_dirs/folds/b.txt"),
    conditions={
        "real fog": dict(set="dawn_fog", by_fold=True),
        "real rain": dict(set="dawn_rain", by_fold=True),
        "synthetic fog": dict(set="coco128_val", weather="road_fog", limit=100),
        "synthetic rain": dict(set="coco128_val", weather="road_rain", limit=100),
    },
    size=640,
)
