"""benchmarks/cptrans_ablation.py: cells with objects by hand, patches of an untrained run."""

import cptrans_ablation
import numpy as np
from cptrans_toys import tiny
from method_tools import clips

from i2vjax.run import load


def test_a_cell_with_one_pixel_of_an_object_holds_it():
  labels = np.zeros((1, 4, 6), int)   # road
  labels[0, 3, 2] = 11                # person
  cells = cptrans_ablation.holds_object(labels, (2, 3))
  np.testing.assert_array_equal(cells[0], [[False, False, False], [False, True, False]])


def test_spread_of_several_seeds_is_that_of_a_sample():
  assert cptrans_ablation.spread_text([1, 3], 2) == '2.00 ± 1.41'
  assert cptrans_ablation.spread_text([1], 2) == '1.00'


def test_the_share_eta_of_the_patches_is_selected():
  run = load.fresh(tiny())
  frames = clips(1, batch=1, size=32)['a'][:, 0]
  patches = cptrans_ablation.selected_patches(run, frames)
  assert patches.dtype == bool and patches.shape[0] == 1
  count = patches[0].size
  assert 0 < patches.sum() <= run.config.co.eta * count
