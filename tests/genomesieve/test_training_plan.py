import pytest

from genomesieve.stages import resolve_stages
from genomesieve.training_plan import TrainingPlan
from toy_stages import SETTINGS

STAGES = resolve_stages(SETTINGS)


def test_without_stages_everything_is_of_the_first_training():
    plan = TrainingPlan("s", "dilated", ("pwm",), (0, 1), 1)
    assert plan.stage_roads == {} and plan.last_stage == ""
    assert plan.uncalibrated("results/s") == "results/s/training/base/round1/ensemble"
    assert plan.uncalibrated("results/s/members/seed1") == "results/s/training/base/round1/seed1"
    assert plan.uncalibrated("results/s/rounds/round0") == "results/s/training/base/round0/ensemble"
    assert plan.uncalibrated("results/s/baselines/pwm").startswith("results/s/baselines/pwm/")


def test_the_last_own_stage_is_the_screens_model():
    plan = TrainingPlan("s", "dilated", ("pwm",), (0,), 0, STAGES)
    assert plan.last_stage == "human"
    assert plan.stage_road("human") == plan.road == "results/s"
    assert plan.stage_road("fly.replay") == "results/s/stages/fly.replay"
    assert plan.uncalibrated("results/s") == "results/s/training/human/round0/seed0"
    assert plan.uncalibrated("results/s/stages/thale") == "results/s/training/base/round0/seed0"
    assert plan.stage_of("results/s/stages/human.replay") == "human.replay"
    assert plan.stage_of("results/s/baselines/pwm") == ""


@pytest.mark.parametrize("seed", [4, 7])
def test_every_seed_has_a_chain_of_its_own(seed):
    plan = TrainingPlan("s", "dilated", (), (4, 7), 0, STAGES)
    for key in STAGES:
        road = plan.seed_road(key, seed)
        assert road == f"{plan.stage_road(key)}/members/seed{seed}"
        assert (plan.stage_of(road), plan.seed_of(road)) == (key, seed)
        assert plan.uncalibrated(road) == plan.seed_folder(0, seed, key)
    assert plan.uncalibrated(plan.stage_road("fly")) == "results/s/training/fly/round0/ensemble"
    assert set(plan.stage_models("fly")) == {"dilated", "dilated.seed4", "dilated.seed7"}
