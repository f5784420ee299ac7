# The 11 classes of CamVid that count; void does not.
camvid_classes = [
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
]  # fmt: skip
