# Fog on real roads: the shipped restorer specialised by
#   python tools/train.py configs/uniremoval_teacher.py --work-dir work_dirs/teacher_road_fog
family = ["road_fog"]
teacher = dict(type="RestorerTeacher", restorer="work_dirs/teacher_road_fog/restorer")
licence = "CC BY-NC 4.0 (CamVid photos were trained on)"
