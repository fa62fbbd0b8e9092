// A language model is called with ids, position and wanted: any other entry is refused.
// RUN: split-file %s %t
// RUN: not tern compile %t/static.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=STATIC
// RUN: not tern compile %t/columns.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=COLUMNS
// RUN: not tern compile %t/layers.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not tern compile %t/hidden.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=HIDDEN
// RUN: not tern compile %t/positions.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=POSITIONS
// RUN: sed 's/"many"/0 : i64/' %t/positions.mlir > %t/zero.mlir
// RUN: not tern compile %t/zero.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not tern compile %t/none.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not tern compile %t/caches.mlir -o %t/a.so 2>&1 | FileCheck %s --check-prefix=CACHES
// RUN: not ls %t/a.so

// STATIC: @main: expected the entry of a language model to be (tensor<?xi32>, index, index, caches...) -> tensor<?x8xf32>, found (tensor<4xi32>, index, index) -> tensor<4x8xf32>
// COLUMNS: @main: expected the entry of a language model to be {{.*}} -> tensor<?x9xf32>, found (tensor<?xi32>, index, index) -> tensor<?x8xf32>
// LAYERS: ternary.model: expected layers from 1 to 65536 : i64, found 99999999999 : i64
// HIDDEN: ternary.model: expected hidden from 1 to 16777216 : i64, found -1 : i64
// POSITIONS: ternary.model: expected max_positions from 1 to 268435456 : i64, found "many"
// ZERO: ternary.model: expected max_positions from 1 to 268435456 : i64, found 0 : i64
// NONE: ternary.model: expected a language model to have max_positions, found none
// CACHES: @main: expected caches of up to 4294967296 bytes a position in all, found 4303355904

//--- static.mlir
module attributes {ternary.files = [], ternary.model = {vocabulary = 8 : i64}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<4xi32>, %position: index, %wanted: index) -> tensor<4x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<4xi32>, tensor<8x8xf32> -> tensor<4x8xf32>
    %y = arith.addf %x, %x : tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }
}

//--- columns.mlir
module attributes {ternary.files = [], ternary.model = {vocabulary = 9 : i64}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

//--- layers.mlir
module attributes {ternary.files = [], ternary.model = {vocabulary = 8 : i64, layers = 99999999999 : i64}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

//--- hidden.mlir
module attributes {ternary.files = [], ternary.model = {hidden = -1 : i64}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

//--- positions.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = "many"}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

//--- none.mlir
module attributes {ternary.files = [], ternary.model = {vocabulary = 8 : i64}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}

//--- caches.mlir
module attributes {ternary.files = [], ternary.model = {}} {
  ternary.weight @table : tensor<8x8xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [8, 8], encoding = random>]
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %c0: !ternary.kv_cache<65536x256xf32>, %c1: !ternary.kv_cache<65536x256xf32>, %c2: !ternary.kv_cache<65536x256xf32>,
                  %c3: !ternary.kv_cache<65536x256xf32>, %c4: !ternary.kv_cache<65536x256xf32>, %c5: !ternary.kv_cache<65536x256xf32>,
                  %c6: !ternary.kv_cache<65536x256xf32>, %c7: !ternary.kv_cache<65536x256xf32>, %c8: !ternary.kv_cache<65536x256xf32>,
                  %c9: !ternary.kv_cache<65536x256xf32>, %c10: !ternary.kv_cache<65536x256xf32>, %c11: !ternary.kv_cache<65536x256xf32>,
                  %c12: !ternary.kv_cache<65536x256xf32>, %c13: !ternary.kv_cache<65536x256xf32>, %c14: !ternary.kv_cache<65536x256xf32>,
                  %c15: !ternary.kv_cache<65536x256xf32>, %c16: !ternary.kv_cache<65536x256xf32>, %c17: !ternary.kv_cache<65536x256xf32>,
                  %c18: !ternary.kv_cache<65536x256xf32>, %c19: !ternary.kv_cache<65536x256xf32>, %c20: !ternary.kv_cache<65536x256xf32>,
                  %c21: !ternary.kv_cache<65536x256xf32>, %c22: !ternary.kv_cache<65536x256xf32>, %c23: !ternary.kv_cache<65536x256xf32>,
                  %c24: !ternary.kv_cache<65536x256xf32>, %c25: !ternary.kv_cache<65536x256xf32>, %c26: !ternary.kv_cache<65536x256xf32>,
                  %c27: !ternary.kv_cache<65536x256xf32>, %c28: !ternary.kv_cache<65536x256xf32>, %c29: !ternary.kv_cache<65536x256xf32>,
                  %c30: !ternary.kv_cache<65536x256xf32>, %c31: !ternary.kv_cache<65536x256xf32>, %c32: !ternary.kv_cache<65536x16xf32>) -> tensor<?x8xf32> attributes {ternary.entry} {
    %table = ternary.load @table : tensor<8x8xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<8x8xf32> -> tensor<?x8xf32>
    %y = arith.addf %x, %x : tensor<?x8xf32>
    return %y : tensor<?x8xf32>
  }
}
