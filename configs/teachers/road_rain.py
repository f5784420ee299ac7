# Rain and spray on real roads: the shipped restorer specialised by
#   python tools/train.py configs/uniremoval_teacher.py --work-dir work_dirs/teacher_road_rain \
#       --cfg-options train_dataloader.dataset.weather=road_rain
family = ["road_rain"]
teacher = dict(type="RestorerTeacher", restorer="work_dirs/teacher_road_rain/restorer")
licence = "CC BY-NC 4.0 (CamVid photos were trained on)"
