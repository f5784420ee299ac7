# A teacher without weights: the dark channel prior (He, Sun and Tang, CVPR 2009), for the plain haze of the mixture
# `haze`. The road weather of uniremoval_distill.py draws none of it, so it is an example there and stays silent.
family = ["haze"]
teacher = dict(type="ClassicalTeacher", name="dcp")
licence = "Apache-2.0 (unirestore/classical.py, this project)"
