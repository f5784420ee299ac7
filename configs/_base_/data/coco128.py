# COCO128: 128 + 128 clean COCO photos with boxes of the usual 80 classes. `coco128_train` may be trained on;
# `coco128_val` measures that clean photos are left alone, and is never trained on.
data_root = "data/coco128"

_classes = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
_hint = (
    "take any 128 photos of COCO train2017 and val2017 (https://cocodataset.org/#download). Lay them out as "
    "DATA_ROOT/{train2017,val2017}/*.jpg and DATA_ROOT/annotations/instances_{train2017,val2017}.json"
)

eval_sets = dict(
    coco128_train=dict(
        images="train2017",
        annotations="annotations/instances_train2017.json",
        classes=_classes,
        condition="clean",
        format="coco",
        hint=_hint,
    ),
    coco128_val=dict(
        images="val2017",
        annotations="annotations/instances_val2017.json",
        classes=_classes,
        condition="clean",
        format="coco",
        hint=_hint,
    ),
)
