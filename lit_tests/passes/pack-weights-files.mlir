// The section cannot be written without the files: nothing is left at the output's name.
// RUN: rm -rf %t && mkdir %t
// RUN: not tern-opt %s --ternary-pack-weights='output=%t/weights folder=%t' 2>&1 | FileCheck %s
// RUN: not ls %t/weights

// CHECK: error: {{.*}}model.bin
module attributes {ternary.files = ["model.bin"]} {
  ternary.weight @w : tensor<64xf32> from [#ternary.source<file = 0, offset = 0, bytes = 256, shape = [64], encoding = f32>]
  func.func @f() {
    %0 = ternary.load @w : tensor<64xf32>
    return
  }
}
