# RTTS, the real-world task-driven testing set of RESIDE (Li et al., TIP 2019): 4,322 hazy photos in Pascal
# VOC format; research use.
data_root = "data/rtts"

eval_sets = dict(
    rtts=dict(
        images="JPEGImages",
        annotations="Annotations",
        split="ImageSets/Main/test.txt",
        classes=("person", "bicycle", "car", "motorcycle", "bus"),
        label_names=dict(motorbike="motorcycle"),
        condition="fog",
        format="voc",
        hint=(
            "RTTS is part of RESIDE-beta, https://sites.google.com/view/reside-dehaze-datasets. "
            "Lay it out as in its archive: "
            "DATA_ROOT/{JPEGImages/*.png,Annotations/*.xml,ImageSets/Main/test.txt}"
        ),
    ),
)
