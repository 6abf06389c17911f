"""One small architecture from every module of timm: it is a teacher, or says why not."""

import pytest
import timm
import torch
from declared import check
from timm.models._registry import _model_to_module as module_of

from kivfm_core.teacher import LoadedTeacher
from kivfm_teachers.timm.resolve import resolve
from kivfm_teachers.timm.shapes import ShapesOnly

SMALL = """
beit_base_patch16_224 botnet26t_256 test_byobnet cait_xxs24_224 coat_lite_tiny convit_tiny
convmixer_768_32 test_convnext cpubone_nano crossvit_9_240 csatv2 cs3darknet_s cspnext_tiny
davit_tiny deepseek_vit_412m deit_tiny_patch16_224 densenet121 dla46_c dpn48b edgenext_xx_small
efficientformer_l1 efficientformerv2_s0 test_efficientnet efficientvim_m1 efficientvit_b0
efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny
gemma4_vit_167m ghostnet_050 hardcorenas_a hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny
hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4
lcnetv2_small levit_128s lowformer_b0 test_mambaout test_coatnet poolformer_s12
gmixer_12_224 lcnet_035 mobilenetv5_base mobilevit_xxs mvitv2_tiny
naflexvit_base_patch16_gap nasnetalarge nest_tiny nextvit_small test_nfnet pit_ti_224
pnasnet5large pvt_v2_b0 qwen3_vit_88m rdnet_tiny regnetx_002 repghostnet_050 repvit_m0_9
res2net50_48w_2s resnest14d test_resnet resnetv2_18 rexnet_100 selecsls42 legacy_seresnet18
sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224
swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m
twins_svt_small vgg11 visformer_tiny test_vit vit_tiny_r_s16_p8_224 test_vit_relpos
samvit_base_patch16_224 vitamin_small_224 volo_d1_224 ese_vovnet19b_slim legacy_xception
xception41 xcit_nano_12_p16_224
""".split()
# All that fail, and why.
REFUSED = {"gemma4_vit_167m": "shapes follow from values"}
# Other canvases than the usual: on the meta device, torch steps through an LSTM cell by cell.
SIDES = {"sequencer2d_s": 28}

REAL = """
test_resnet test_vit test_efficientnet test_nfnet test_byobnet test_mambaout test_vit_relpos
convnext_atto edgenext_xx_small xcit_nano_12_p16_224 sequencer2d_s
""".split()


def test_no_module_is_left_out():
    assert {module_of[name] for name in SMALL} == {module_of[name] for name in timm.list_models()}


@pytest.mark.parametrize("name", SMALL)
def test_it_is_what_its_spec_says_or_says_why_not(name):
    if name in REFUSED:
        with pytest.raises(LookupError, match=REFUSED[name]):
            resolve(f"timm/{name}")
        return
    spec = resolve(f"timm/{name}")
    with ShapesOnly(), torch.device("meta"):
        encoder = LoadedTeacher(spec).encoder
    assert spec.parameters == sum(p.numel() for p in encoder.parameters())
    # Without what `resolve` leaves out to be quick: that is what is checked here.
    check(spec, encoder, SIDES.get(name, spec.input.size), "meta")


@pytest.mark.parametrize("name", REAL)
def test_it_runs(name):
    spec = resolve(f"timm/{name}")
    teacher = LoadedTeacher(spec)
    multiple = spec.input.multiple
    side = multiple if multiple == spec.input.size else -(-64 // multiple) * multiple
    levels = check(spec, teacher.encoder, side, "cpu")
    assert all(value.isfinite().all() for value in levels.values())
