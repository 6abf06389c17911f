"""The conformance kit checks what the spec declares; what only you can know, test beside it."""

from kivfm_acme.plugin import kivfm_register_teachers
from kivfm_core.testing import TeacherConformance

FIRST, *_ = kivfm_register_teachers()


class TestFirst(TeacherConformance):
    spec = FIRST
