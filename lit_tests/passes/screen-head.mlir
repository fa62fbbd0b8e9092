// RUN: tern-opt %s --ternary-screen-head='min-bytes=0' --split-input-file | FileCheck %s
// RUN: tern-opt %s --ternary-screen-head='min-bytes=0 bits=8' --split-input-file | FileCheck %s --check-prefix=EIGHT
// RUN: tern-opt %s --ternary-screen-head --split-input-file | FileCheck %s --check-prefix=SMALL
// RUN: not tern-opt %s --ternary-screen-head='bits=7' --split-input-file 2>&1 | FileCheck %s --check-prefix=BITS
// BITS: expected a screen of 6 or 8 bits, got 7

// SMALL-NOT: #ternary.screen

// The table has another user, which keeps it. It lies behind all that is read more often.
// CHECK: ternary.weight @embed.screen : tensor<64x32xbf16, #ternary.screen<bits = 6>> from
// CHECK-NEXT: ternary.weight @norm
// CHECK-NEXT: ternary.weight @embed : tensor<64x32xbf16> from
// EIGHT: ternary.weight @embed.screen : tensor<64x32xbf16, #ternary.screen<bits = 8>> from
// CHECK-LABEL: @main
// CHECK: %[[T:.+]] = ternary.load @embed : tensor<64x32xbf16>
// CHECK: ternary.embedding %{{.+}}, %[[T]]
// CHECK: %[[S:.+]] = ternary.load @embed.screen
// CHECK: ternary.head %{{.+}}, %[[T]] screen(%[[S]] : tensor<64x32xbf16, #ternary.screen<bits = 6>>)
ternary.weight @embed : tensor<64x32xbf16> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 32], encoding = random>]
ternary.weight @norm : tensor<32xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [32], encoding = random>]
func.func @main(%ids: tensor<?xi32>) -> tensor<?x64xf32> attributes {ternary.entry} {
  %t = ternary.load @embed : tensor<64x32xbf16>
  %x = ternary.embedding %ids, %t : tensor<?xi32>, tensor<64x32xbf16> -> tensor<?x32xf32>
  %l = ternary.head %x, %t : tensor<?x32xf32>, tensor<64x32xbf16> -> tensor<?x64xf32>
  return %l : tensor<?x64xf32>
}

// -----

// Logits that are used otherwise.
// CHECK-LABEL: @other
// CHECK: ternary.head %{{.+}}, %{{.+}} : tensor
ternary.weight @table : tensor<64x32xbf16> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 32], encoding = random>]
func.func @other(%x: tensor<?x32xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
  %t = ternary.load @table : tensor<64x32xbf16>
  %l = ternary.head %x, %t : tensor<?x32xf32>, tensor<64x32xbf16> -> tensor<?x64xf32>
  %d = arith.addf %l, %l : tensor<?x64xf32>
  return %d : tensor<?x64xf32>
}
