"""Which schedulers a strategy is told of as adding outputs as they are."""

import pytest
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler

from cachekit.diffusers.clock import is_euler


def test_the_euler_steps_of_flows_are_known():
    assert is_euler(FlowMatchEulerDiscreteScheduler())
    assert is_euler(FlowMatchEulerDiscreteScheduler(shift=3.0))


def test_no_other_scheduler_is_nor_one_that_adds_noise():
    for scheduler in (DDIMScheduler(), DPMSolverMultistepScheduler(prediction_type="flow_prediction")):
        assert not is_euler(scheduler)
    assert not is_euler(FlowMatchEulerDiscreteScheduler(stochastic_sampling=True))


def test_timesteps_of_flows_are_multiples_of_their_noise():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(10)
    assert scheduler.timesteps.tolist() == pytest.approx([1000 * sigma for sigma in scheduler.sigmas[:-1].tolist()])
