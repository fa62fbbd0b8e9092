// RUN: tern-opt %s --ternary-pack-weights | FileCheck %s
// RUN: tern-opt %s --ternary-pack-weights=output=%t.weights -o /dev/null
// RUN: wc -c < %t.weights | FileCheck %s --check-prefix=SIZE
// RUN: tern-opt %s --ternary-pack-weights=output=%t.again -o /dev/null
// RUN: cmp %t.weights %t.again

// CHECK: module attributes {{.*}}ternary.weights_bytes = 3584 : i64
// SIZE: 3584
module {
  // 3 row blocks of 2 tiles of 64 bytes
  // CHECK: @packed {{.+}} section [0, 384]
  ternary.weight @packed : tensor<33x20x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [33, 20], encoding = random>]
  // CHECK-NOT: @unused
  ternary.weight @unused : tensor<9x9x!ternary.trit> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [9, 9], encoding = random>]
  // 33 rows are 3 blocks of 16
  // CHECK: @scales {{.+}} section [384, 192]
  ternary.weight @scales : tensor<33x1xf32, #ternary.scales<rows = 16>> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
  // 3 rows of 512 halves
  // CHECK: @table {{.+}} section [576, 2688]
  ternary.weight @table : tensor<3x400xbf16> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [3, 400], encoding = random>]
  // CHECK: @gain {{.+}} section [3264, 256]
  ternary.weight @gain : tensor<5xf32> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [5], encoding = random>]
  // base3 with 4 rows: lanes of 4 bytes
  // CHECK: @small {{.+}} section [3520, 16]
  ternary.weight @small : tensor<1x1x!ternary.trit, #ternary.packing<base3, rows = 4, k = 20>> from [#ternary.source<file = 0, offset = 6, bytes = 0, shape = [1, 1], encoding = random>]
  func.func @f() {
    %0 = ternary.load @packed : tensor<33x20x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
    %1 = ternary.load @scales : tensor<33x1xf32, #ternary.scales<rows = 16>>
    %2 = ternary.load @table : tensor<3x400xbf16>
    %3 = ternary.load @gain : tensor<5xf32>
    %4 = ternary.load @small : tensor<1x1x!ternary.trit, #ternary.packing<base3, rows = 4, k = 20>>
    return
  }
}
