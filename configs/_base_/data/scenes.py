# The procedural street scenes of unirestore.data.scenes. Nothing to download: a missing set is rendered when
# it is first asked for (about 30 s for 500 scenes) and kept below `data_root`. Seeds of the three sets do not
# meet.
data_root = "data/scenes"

_classes = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
_hint = "rendered by unirestore.data.write_scenes(DATA_ROOT/NAME, count, seed, size)"
_objects = dict(smallest=20)  # every box of so many pixels as a picture of its own
_known = dict(classes=_classes, condition="clean", format="coco", hint=_hint)

eval_sets = dict(
    scenes_train=dict(
        images="train/images",
        annotations="train/annotations.json",
        depth="train/depth",
        make=dict(count=2000, seed=0, size=256),
        **_known,
    ),
    scenes_many=dict(  # for a GPU: its first 2,000 are scenes_train
        images="many/images",
        annotations="many/annotations.json",
        depth="many/depth",
        make=dict(count=8000, seed=0, size=256, workers=0),
        **_known,
    ),
    scenes_val=dict(
        images="val/images",
        annotations="val/annotations.json",
        depth="val/depth",
        make=dict(count=300, seed=1_000_000, size=256),
        **_known,
    ),
    scenes_test=dict(
        images="test/images",
        annotations="test/annotations.json",
        depth="test/depth",
        make=dict(count=300, seed=2_000_000, size=256),
        **_known,
    ),
    scenes_objects_train=dict(
        images="train/images",
        annotations="train/annotations.json",
        depth="train/depth",
        make=dict(count=2000, seed=0, size=256),
        objects=_objects,
        **_known,
    ),
    scenes_objects_val=dict(
        images="val/images",
        annotations="val/annotations.json",
        depth="val/depth",
        make=dict(count=300, seed=1_000_000, size=256),
        objects=_objects,
        **_known,
    ),
    scenes_objects_test=dict(
        images="test/images",
        annotations="test/annotations.json",
        depth="test/depth",
        make=dict(count=300, seed=2_000_000, size=256),
        objects=_objects,
        **_known,
    ),
)
