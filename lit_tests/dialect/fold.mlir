// RUN: tern-opt %s --canonicalize | FileCheck %s

!plain = tensor<64x32x!ternary.trit>
!packed = tensor<64x32x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
!other = tensor<64x32x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>

// CHECK-LABEL: @unpack_of_pack_is_the_operand
func.func @unpack_of_pack_is_the_operand(%w: !plain) -> !plain {
  // CHECK-NEXT: return %arg0
  %p = ternary.pack %w : !plain -> !packed
  %u = ternary.unpack %p : !packed -> !plain
  return %u : !plain
}

// CHECK-LABEL: @pack_of_unpack_is_the_operand
func.func @pack_of_unpack_is_the_operand(%p: !packed) -> !packed {
  // CHECK-NEXT: return %arg0
  %u = ternary.unpack %p : !packed -> !plain
  %q = ternary.pack %u : !plain -> !packed
  return %q : !packed
}

// CHECK-LABEL: @another_packing_stays
func.func @another_packing_stays(%p: !packed) -> !other {
  // CHECK: ternary.unpack
  // CHECK: ternary.pack
  %u = ternary.unpack %p : !packed -> !plain
  %q = ternary.pack %u : !plain -> !other
  return %q : !other
}
