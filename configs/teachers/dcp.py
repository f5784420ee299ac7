# A teacher without weights, as an example: the dark channel prior (He, Sun and Tang, CVPR 2009). uniremoval_distill.py
# does not ask it; in place of the fog restorer:
#   --cfg-options "teachers=['configs/teachers/dcp.py','configs/teachers/road_rain.py']"
family = ["road_fog", "haze"]
teacher = dict(type="ClassicalTeacher", name="dcp")
licence = "Apache-2.0 (unirestore/classical.py, this project)"
