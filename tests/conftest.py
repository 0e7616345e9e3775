"""What all tests share: one torch thread, and no file of the tests' own in the working folder."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """The nets of the tests are tiny: a second thread would only wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def seeded():
    """Every test draws the same numbers, whichever ran before it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20260101)
        yield
