"""doctor: what is wrong is said with its remedy, and is the exit code."""

import importlib.metadata

import av
import pytest

from i2vjax import defaults, main
from i2vjax.cli import doctor
from i2vjax.core import nvidia, parallel

T4 = nvidia.Gpu('550.54.15', 'Tesla T4', 7.5)


@pytest.fixture
def gpu(monkeypatch):
  """A GPU that the JAX of this test, which runs on the CPU, does not see."""
  monkeypatch.setattr(nvidia, 'find_gpu', lambda: T4)
  monkeypatch.setattr(nvidia, 'installed', lambda: {'jax': '0.10.2', 'jaxlib': '0.10.2'})
  monkeypatch.delenv('JAX_PLATFORMS', raising=False)
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)


def test_a_gpu_that_jax_does_not_see_is_wrong(gpu, capsys):
  assert main.main(['i2vjax', 'doctor', '--brief']) == 2
  said = capsys.readouterr().out
  assert 'devices' in said and 'Tesla T4' in said and 'JAX does not see it' in said
  assert 'do: pip install "jax[cuda12]==0.10.2"' in said and 'methods' not in said


def test_it_is_not_wrong_where_the_cpu_was_chosen(gpu, monkeypatch):
  monkeypatch.setenv('JAX_PLATFORMS', 'cpu')
  assert not [fact for fact in doctor.devices() if fact.wrong]


def test_a_jax_that_does_not_start_is_told(monkeypatch):
  def fails():
    raise RuntimeError("Unable to initialize backend 'cuda'\nand so on")
  monkeypatch.setattr(parallel, 'describe', fails)
  monkeypatch.setattr(nvidia, 'find_gpu', lambda: None)
  wrong, = (fact for fact in doctor.devices() if fact.wrong)
  assert wrong.value == "Unable to initialize backend 'cuda'" and 'JAX_PLATFORMS' in wrong.remedy


def test_a_package_of_another_version_is_wrong(monkeypatch):
  version = importlib.metadata.version
  monkeypatch.setattr(importlib.metadata, 'requires', lambda name: ['flax>=0.12,<0.13', 'nowhere'])
  monkeypatch.setattr(importlib.metadata, 'version',
                      lambda name: '0.1' if name == 'flax' else version(name))
  wrong = {fact.name: str(fact) for fact in doctor.versions() if fact.wrong}
  assert set(wrong) == {'flax', 'nowhere'}
  assert 'WRONG, do: pip install "flax' in wrong['flax'] and 'not here' in wrong['nowhere']


def test_little_memory_is_told(tmp_path, monkeypatch):
  (tmp_path / 'meminfo').write_text('MemTotal: 8000000 kB\nMemAvailable: 1000000 kB\n')
  free = doctor.free_memory(str(tmp_path / 'meminfo'))
  assert free == 1024 * 10 ** 6 and doctor.free_memory(str(tmp_path / 'none')) == 0
  monkeypatch.setattr(doctor, 'free_memory', lambda: free)
  assert 'batch' in next(iter(doctor.room())).remedy


def test_a_missing_encoder_is_told(monkeypatch):
  def refuse(name, mode):
    raise ValueError(name)
  monkeypatch.setattr(av, 'Codec', refuse)
  assert all(fact.wrong and 'pip install' in fact.remedy for fact in doctor.codecs())


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
  (tmp_path / 'file').touch()
  facts = list(doctor.folders(lambda: str(tmp_path / 'file' / 'xla'), defaults.get_config()))
  kept = facts[-1]
  assert {'weight files', 'unpacked videos'} <= {fact.name for fact in facts}
  assert 'not kept' in kept.value and 'XDG_CACHE_HOME' in str(kept)


def test_missing_weights_are_offered_and_not_wrong(monkeypatch, tmp_path):
  monkeypatch.setenv('I2VJAX_WEIGHTS', str(tmp_path))
  offered = list(doctor.weights(defaults.get_config()))
  assert not [fact for fact in offered if fact.wrong]
  assert [fact for fact in offered if f'fetch {fact.name}' in fact.remedy]
