# Detection, segmentation, classification and the eye in one run, from the shipped weights: batches take turns, a task
# has its own frozen network, and `ir` learns in every batch. Needs CamVid and COCO128 (see _base_/data), and boxes on
# CamVid train as in tfa_photos.py. About 40 minutes on one CPU core.
#   python tools/train.py configs/tfa_joint.py \
#       --cfg-options model.tasks.det.downstream.checkpoint=yolox_nano_coco.pth
# One task alone, with as many batches of its own, here 400 of `seg`; `turns` of 0 leaves the others out:
#   python tools/train.py configs/tfa_joint.py --work-dir work_dirs/single_seg --cfg-options \
#       model.tasks.det.downstream.checkpoint=yolox_nano_coco.pth train_dataloader.dataset.turns.det=0 \
#       train_dataloader.dataset.turns.cls=0 train_cfg.max_iters=400 param_scheduler.0.total_steps=400
# Then the tables of joint against single: joint_det.py, joint_seg.py, joint_cls.py.
_base_ = ["_base_/runtime.py", "_base_/coco_classes.py", "_base_/camvid_classes.py"]
_batch = 4
model = dict(
    type="JointStage",
    restorer="tiny",
    tasks=dict(
        det=dict(
            task_weight=0.5,
            feature_weight=2.0,
            perception_weight=3.0,
            downstream=dict(
                type="FrozenDetector",
                config="mmdet::yolox/yolox_nano_8xb8-300e_coco.py",
                checkpoint="yolox_nano_coco.pth",
                classes={{_base_.coco_classes}},
            ),
        ),
        seg=dict(
            copy_from="det",
            task_weight=0.5,
            feature_weight=2.0,
            perception_weight=3.0,
            downstream=dict(
                type="FrozenSegmentor",
                config="configs/_base_/camvid_segmentor_model.py",
                checkpoint="unirestore/weights/camvid-segmentor/segmentor.safetensors",
                classes={{_base_.camvid_classes}},
            ),
        ),
        cls=dict(
            copy_from="det",
            task_weight=0.5,
            feature_weight=2.0,
            perception_weight=3.0,
            downstream=dict(
                type="FrozenClassifier",
                config="shufflenet_v2_x0_5",
                checkpoint="unirestore/weights/scenes-classifier/classifier.safetensors",
                classes=["person", "bicycle", "car", "motorcycle", "bus", "truck"],
                input_size=64,
            ),
        ),
    ),
)
# prompts are not weights: nothing pulls them to zero; they start as one, and large steps part them soon
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"restorer.prompts": dict(decay_mult=0.0, lr_mult=20.0)}))
find_unused_parameters = True  # under DDP: a batch reads the prompts of two tasks
custom_hooks = [dict(type="ExportRestorer"), dict(type="TaskGradientNorms")]
_turns = dict(det=1, seg=2, cls=1)  # what company costs most has most turns
_steps = 1600
train_cfg = dict(max_iters=_steps)
param_scheduler = [
    dict(
        type="GroupOneCycleLR", eta_max=1e-3, total_steps=_steps, pct_start=0.1, div_factor=10, by_epoch=False
    )
]
train_dataloader = dict(
    batch_size=_batch,
    dataset=dict(
        _delete_=True,
        type="JointPairs",
        batch_size=_batch,
        turns=_turns,
        identity_probability=0.25,
        tasks=dict(
            det=dict(
                sources=[
                    dict(set="camvid_train", boxes="work_dirs/camvid_train_boxes.json"),
                    "coco128_train",
                ],
                weights=[2, 1],
                weather="road",
                size=320,
                long_side=640,
                resize=(0.6, 1.4),
            ),
            seg=dict(
                sources=["camvid_train"],
                weather="mixed",
                size=256,
                resize=(0.8, 1.4),
                label_map_classes={{_base_.camvid_classes}},
            ),
            cls=dict(
                sources=["scenes_objects_train"], weather="mixed", size=64, long_side=64, resize=(1.0, 1.2)
            ),
        ),
    ),
)
