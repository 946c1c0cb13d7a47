"""Kernels, bytes and operations of programs written by hand, where all numbers are known."""

import pytest

from i2vjax.bench import hlo_counts, hlo_text

PROGRAM = """HloModule jit_f, is_scheduled=true

%fused (p.0: f32[4,8], p.1: bf16[8,16]) -> f32[4,16] {
  %p.0 = f32[4,8]{1,0} parameter(0)
  %p.1 = bf16[8,16]{1,0} parameter(1)
  ROOT %dot.1 = f32[4,16]{1,0} dot(%p.0, %p.1), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%cut (q.0: f32[100,16], q.1: s32[]) -> f32[1,16] {
  %q.1 = s32[] parameter(1)
  %q.0 = f32[100,16]{1,0} parameter(0)
  %zero = s32[] constant(0)
  ROOT %ds = f32[1,16]{1,0} dynamic-slice(%q.0, %q.1, %zero), dynamic_slice_sizes={1,16}
}

%body (s: (s32[], f32[4,4])) -> (s32[], f32[4,4]) {
  %s = (s32[], f32[4,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %x = f32[4,4]{1,0} get-tuple-element(%s), index=1
  %y = f32[4,4]{1,0} copy(%x), metadata={op_name="jit(f)/while/body/copy"}
  ROOT %t = (s32[], f32[4,4]{1,0}) tuple(%i, %y)
}

%condition (c: (s32[], f32[4,4])) -> pred[] {
  %c = (s32[], f32[4,4]{1,0}) parameter(0)
  ROOT %true = pred[] constant(true)
}

ENTRY %main (a: f32[4,8], b: bf16[8,16], w: (s32[], f32[4,4]), big: f32[100,16]) -> f32[4,16] {
  %a = f32[4,8]{1,0} parameter(0)
  %b = bf16[8,16]{1,0} parameter(1)
  %w = (s32[], /*index=1*/f32[4,4]{1,0:T(8,128)S(1)}) parameter(2)
  %big = f32[100,16]{1,0} parameter(3)
  %k = s32[] constant(7)
  %loop = (s32[], f32[4,4]{1,0}) while(%w), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"10"},"x":1}
  %one = f32[1,16]{1,0} fusion(%big, %k), kind=kLoop, calls=%cut
  %sum = f32[4,8]{1,0} all-reduce(%a), replica_groups={{0,1}}, to_apply=%add
  ROOT %out = f32[4,16]{1,0} fusion(%sum, %b), kind=kOutput, calls=%fused, \
metadata={op_name="jit(f)/dot"}
}
"""


def program(*lines):
  """A program of these instructions."""
  text = '\n'.join(f'  {line}' for line in lines)
  return hlo_text.parse(f'HloModule m\n\nENTRY %main (a: f32[1]) -> f32[1] {{\n{text}\n}}\n')


def only(*lines):
  """The one kernel of a program."""
  kernel, = hlo_counts.kernels(program(*lines))
  return kernel


def by_name(text=PROGRAM):
  return {kernel.name: kernel for kernel in hlo_counts.kernels(hlo_text.parse(text))}


def test_loops_count_as_often_as_they_run():
  copy = by_name()['jit(f)/while/body/copy']
  assert (copy.kind, copy.times, copy.bytes) == ('copy', 10, 2 * 4 * 4 * 4)


def test_what_only_names_things_is_no_kernel():
  assert sorted(by_name()) == ['jit(f)/dot', 'jit(f)/while/body/copy', 'one', 'sum']


def test_a_fusion_does_the_products_that_are_fused_into_it():
  dot = by_name()['jit(f)/dot']
  assert (dot.kind, dot.flops, dot.factors) == ('fusion', 2 * 4 * 16 * 8, 'float32')
  assert dot.bytes == 4 * 4 * 8 + 2 * 8 * 16 + 4 * 4 * 16


def test_of_a_large_array_the_slice_alone_is_read():
  """One of 100 rows is cut out; the place is 4 bytes. Parameters may stand in any order."""
  assert by_name()['one'].bytes == 64 + 4 + 64


def test_a_collective_brings_its_result():
  collective = by_name()['sum']
  assert (collective.kind, collective.payload) == ('all-reduce', 4 * 4 * 8)


def test_a_gathering_that_begins_brings_its_result_alone():
  start = ('%s = ((f32[1,8]{1,0}), (f32[4,8]{1,0})) all-gather-start(%a), dimensions={0}')
  gather = only('%a = f32[1,8]{1,0} parameter(0)', start, 'ROOT %b = f32[4,8] all-gather-done(%s)')
  assert (gather.kind, gather.payload) == ('all-gather', 4 * 4 * 8)


def test_of_an_array_that_is_overwritten_in_place_the_new_part_counts():
  """A row of 16 numbers put into 100: the row is read and written, nothing else."""
  text = PROGRAM.replace('f32[100,16], q.1: s32[]) -> f32[1,16] {', 'f32[100,16], q.1: s32[]) {')
  text = text.replace('%cut (q.0: f32[100,16], q.1: s32[]) {', '%cut (q: f32[1]) -> f32[1] {')
  text = text.replace(
      'ROOT %ds = f32[1,16]{1,0} dynamic-slice(%q.0, %q.1, %zero), dynamic_slice_sizes={1,16}',
      '%q.2 = f32[1,16]{1,0} parameter(2)\n  '
      '%put = f32[100,16]{1,0} dynamic-update-slice(%q.0, %q.2, %q.1, %zero)\n  '
      'ROOT %b = f32[1600]{0} bitcast(%put)')
  text = text.replace('%one = f32[1,16]{1,0} fusion(%big, %k)',
                      '%row = f32[1,16]{1,0} constant(0)\n  '
                      '%one = f32[1600]{0} fusion(%big, %k, %row)')
  assert by_name(text)['one'].bytes == 64 + 4 + 64


def test_what_stays_on_the_chip_is_not_moved():
  copy = only('%a = f32[8,128]{1,0:T(8,128)S(1)} parameter(0)',
              'ROOT %b = f32[8,128]{1,0:T(8,128)} copy(%a)')
  assert copy.bytes == 4 * 8 * 128


def test_a_slice_on_its_way_to_the_chip_is_read_alone():
  """Of 100 rows one is brought; nothing is written to main memory."""
  one, = hlo_counts.kernels(program(
      '%a = f32[100,16]{1,0} parameter(0)',
      '%s = ((f32[100,16]{1,0}), f32[1,16]{1,0:S(1)}, s32[]) slice-start(%a), slice={[0:1],[0:16]}',
      'ROOT %b = f32[1,16]{1,0:S(1)} slice-done(%s)'))
  assert (one.kind, one.bytes) == ('slice', 64)


def test_the_heaviest_branch_of_a_conditional_counts():
  text = PROGRAM.replace(
      'ROOT %out', '%either = f32[4,4]{1,0} conditional(%k, %w, %w), '
      'branch_computations={%body, %condition}\n  ROOT %out')
  assert by_name(text)['jit(f)/while/body/copy'].times == 1   # of the branch, which comes last
  assert sum(k.times for k in hlo_counts.kernels(hlo_text.parse(text)) if k.kind == 'copy') == 11


CONV = ('ROOT %c = f32[1,4,4,5]{3,2,1,0} convolution(%x, %w), '
        'window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_01io->b01f')


def test_a_convolution_by_hand():
  """Along a side of 4 three taps meet 4 + 3 + 3 = 10 inputs that are no zeros of the border."""
  conv = only('%x = f32[1,4,4,3]{3,2,1,0} parameter(0)', '%w = f32[3,3,3,5]{3,2,1,0} parameter(1)',
              CONV)
  assert (conv.kind, conv.flops, conv.taps) == ('convolution', 2 * 10 * 10 * 3 * 5, 3)


def test_zeros_between_inputs_are_no_work():
  """A transposed convolution of stride 2: each output of 4 meets one or two of four taps."""
  conv = only('%x = bf16[1,2,2,3]{3,2,1,0} parameter(0)',
              '%w = bf16[4,4,3,5]{3,2,1,0} parameter(1)',
              'ROOT %c = bf16[1,4,4,5]{3,2,1,0} convolution(%x, %w), window={size=4x4 pad=2_2x2_2 '
              'lhs_dilate=2x2}, dim_labels=b01f_01io->b01f')
  assert conv.flops == 2 * 6 * 6 * 3 * 5 and conv.factors == 'bfloat16'   # 1 + 2 + 2 + 1


@pytest.mark.parametrize(('kind', 'lines'), [
    ('Forward', ('%x = f32[1,4,4,3]{3,2,1,0} parameter(0)', '%w = f32[3,3,3,5]{3,2,1,0} '
                 'parameter(1)', '(f32[1,4,4,5]{3,2,1,0}, u8[64]{0})', '%x, %w')),
    ('BackwardInput', ('%x = f32[1,4,4,5]{3,2,1,0} parameter(0)', '%w = f32[3,3,3,5]{3,2,1,0} '
                       'parameter(1)', '(f32[1,4,4,3]{3,2,1,0}, u8[64]{0})', '%x, %w')),
    ('BackwardFilter', ('%x = f32[1,4,4,3]{3,2,1,0} parameter(0)', '%w = f32[1,4,4,5]{3,2,1,0} '
                        'parameter(1)', '(f32[3,3,3,5]{3,2,1,0}, u8[64]{0})', '%x, %w'))])
def test_gradients_of_a_convolution_are_as_much_work(kind, lines):
  *before, result, operands = lines
  conv = only(*before, f'ROOT %c = {result} custom-call({operands}), window={{size=3x3 '
                       f'pad=1_1x1_1}}, dim_labels=b01f_01io->b01f, '
                       f'custom_call_target="__cudnn$conv{kind}"')
  assert conv.flops == 2 * 10 * 10 * 3 * 5


def test_a_weight_gradient_that_is_none_has_a_window_as_large_as_the_map():
  kernels = hlo_counts.kernels(program(
      '%x = f32[3,64,64,1]{3,2,1,0} parameter(0)', '%g = f32[64,64,1,5]{3,2,1,0} parameter(1)',
      'ROOT %c = f32[3,3,3,5]{3,2,1,0} convolution(%x, %g), window={size=64x64 pad=1_1x1_1}, '
      'dim_labels=b01f_01io->b01f'))
  assert hlo_counts.wide_windows(kernels) == 1
  assert not hlo_counts.wide_windows(list(by_name().values()))


def test_a_product_of_a_library_says_itself_what_it_sums_over():
  product = only(
      '%x = f32[8,4]{1,0} parameter(0)', '%y = f32[8,16]{1,0} parameter(1)',
      'ROOT %z = (f32[4,16]{1,0}, s8[9]{0}) custom-call(%x, %y), custom_call_target="__cublas$gemm"'
      ', backend_config={"gemm_backend_config":{"dot_dimension_numbers":'
      '{"lhs_contracting_dimensions":["0"]},"precision_config":{"operand_precision":["HIGHEST"]}}}')
  assert (product.flops, product.factors) == (2 * 4 * 16 * 8, 'exact')


def test_a_text_without_entry_is_refused():
  with pytest.raises(ValueError, match='no ENTRY'):
    hlo_text.parse('HloModule m\n')


def test_types_have_their_bits():
  assert [hlo_text.bits(x) for x in ('f32', 'bf16', 'pred', 's4', 'f8e4m3fn', 'u64', 'token')] == [
      32, 16, 8, 4, 8, 64, 0]
