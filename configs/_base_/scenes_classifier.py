# The frozen classifier of the objects in procedural scenes: what judges, shared by those who train and measure with it.
scene_classes = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
classifier = dict(
    config="shufflenet_v2_x0_5",
    checkpoint="unirestore/weights/scenes-classifier/classifier.safetensors",
    classes=scene_classes,
    input_size=64,
)
