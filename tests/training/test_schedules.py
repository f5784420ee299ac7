"""The learning rate of each group over a run."""

import pytest
import torch
from mmengine.optim import OneCycleLR, OptimWrapper, build_optim_wrapper

from unirestore.training import GroupOneCycleLR

OPTIONS = dict(total_steps=20, pct_start=0.1, div_factor=10, by_epoch=False)


def rates(schedule, wrapper, steps=20):
    """The rate of each group at each step."""
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in wrapper.param_groups])
        wrapper.step()
        schedule.step()
    return torch.tensor(found).T  # (groups, steps)


def wrapper_of(factor):
    model = torch.nn.ModuleDict({"prompts": torch.nn.Linear(2, 2), "tfa": torch.nn.Linear(2, 2)})
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    keys = {} if factor is None else {"prompts": dict(lr_mult=factor)}
    config = dict(optimizer=dict(type="AdamW", lr=3e-3), paramwise_cfg=dict(custom_keys=keys))
    return build_optim_wrapper(model, config)


def test_a_group_s_factor_holds_all_the_way():
    wrapper = wrapper_of(20.0)
    found = rates(GroupOneCycleLR(wrapper, eta_max=1e-3, **OPTIONS), wrapper)
    prompts, tfa = found[0], found[-1]
    torch.testing.assert_close(prompts, 20 * tfa)
    assert tfa.max() == pytest.approx(1e-3, rel=0.05) and tfa[0] == pytest.approx(1e-4)
    assert isinstance(wrapper, OptimWrapper)


def test_without_factors_it_is_mmengine_s_own():
    ours, theirs = wrapper_of(None), wrapper_of(None)
    found = rates(GroupOneCycleLR(ours, eta_max=1e-3, **OPTIONS), ours)
    assert torch.equal(found, rates(OneCycleLR(theirs, eta_max=1e-3, **OPTIONS), theirs))


def test_a_resumed_schedule_goes_on():
    whole, first, second = wrapper_of(5.0), wrapper_of(5.0), wrapper_of(5.0)
    wanted = rates(GroupOneCycleLR(whole, eta_max=1e-3, **OPTIONS), whole)
    schedule = GroupOneCycleLR(first, eta_max=1e-3, **OPTIONS)
    rates(schedule, first, 8)
    resumed = GroupOneCycleLR(second, eta_max=1e-3, **OPTIONS)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    torch.testing.assert_close(rates(resumed, second, 12), wanted[:, 8:])


def test_no_peak_is_refused():
    with pytest.raises(ValueError, match=r"must be above 0, got 0\.0 and 0\.003"):
        GroupOneCycleLR(wrapper_of(None), eta_max=0.0, **OPTIONS)
    resting = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.0)  # no group has a factor
    with pytest.raises(ValueError, match=r"must be above 0, got 0\.001 and 0\.0"):
        GroupOneCycleLR(resting, eta_max=1e-3, **OPTIONS)
