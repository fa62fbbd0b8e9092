// The runtime checks ids, position and wanted, and gives buffers of these sizes: code that indexes them otherwise
// is refused before it exists.
// RUN: rm -rf %t && split-file %s %t
// RUN: tern compile %t/right.mlir --target x86-64 -o %t/right.so
// RUN: not tern compile %t/all-rows.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=ALL
// RUN: not tern compile %t/swapped.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=SWAPPED
// RUN: not tern compile %t/outside.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: not tern compile %t/mixed.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=MIXED
// RUN: not tern compile %t/angles.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=ANGLES
// RUN: not tern compile %t/position.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=POSITION
// RUN: not tern compile %t/elsewhere.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=ELSEWHERE
// RUN: not tern compile %t/fixed.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=FIXED
// RUN: not tern compile %t/table.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=TABLE
// RUN: not tern compile %t/gain.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=GAIN
// RUN: not tern compile %t/called.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=CALLED
// RUN: not tern compile %t/wide.mlir --target x86-64 -o %t/a.so 2>&1 | FileCheck %s --check-prefix=WIDE
// RUN: not ls %t/a.so

// ALL: @main: expected a language model to return the last `wanted` rows (its third argument)
// SWAPPED: @main: tensor.extract_slice: cannot tell that the rows lie inside the source: expected all of them, or the last `wanted` ones
// OUTSIDE: @main: tensor.extract_slice: cannot tell that the rows lie inside the source
// MIXED: @main: arith.addf: operands have different numbers of rows
// ANGLES: @main: ternary.rope_angles: cannot tell that there are as many rows as the call has, or fewer
// POSITION: @block: ternary.attention: expected the cache to be used at the entry's position, by rows of the call
// ELSEWHERE: @main: ternary.rope_angles: expected angles of the entry's position
// FIXED: @main: ternary.rope_angles: expected a row of angles for each row of the call
// TABLE: @main: ternary.embedding: expected a table of 64 rows, one an id, got 32
// GAIN: @main: ternary.rms_norm: expected a weight of a static shape
// WIDE: 'ternary.attention' op expected heads of at most 4096 columns, got 8192
// CALLED: @last: tensor.extract_slice: cannot tell that the rows lie inside the source

//--- right.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- all-rows.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[0, 0] [%count, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- swapped.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%position, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- outside.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%count, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- mixed.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %sum = arith.addf %tail, %h : tensor<?x64xf32>
    %y = ternary.head %sum, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- angles.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %position frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- position.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %wanted, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- table.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<32x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [32, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<32x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<32x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = arith.addf %tail, %tail : tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- gain.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %q, %s, %sums = ternary.quantize_rows %tail group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
    %n = ternary.rms_norm %tail, %s epsilon 1.0e-05 : tensor<?x64xf32>, tensor<?xf32>
    %y = ternary.head %n, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- called.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func private @last(%h: tensor<?x64xf32>, %n: index) -> tensor<?x64xf32> {
    %zero = arith.constant 0 : index
    %count = tensor.dim %h, %zero : tensor<?x64xf32>
    %first = arith.subi %count, %n : index
    %tail = tensor.extract_slice %h[%first, 0] [%n, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %twice = arith.addf %tail, %tail : tensor<?x64xf32>
    return %twice : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = call @last(%h, %position) : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- elsewhere.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %zero, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x64xf32>, tensor<?x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- fixed.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%x: tensor<?x64xf32>, %position: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>, !ternary.kv_cache<1x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x64xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<32xf32>) -> tensor<?x64xf32>
    %four = arith.constant 4 : index
    %other = ternary.rope_angles %position, %four frequencies(dense<1.0> : tensor<32xf32>) -> tensor<4x64xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x64xf32> -> tensor<?x64xf32>
    %r = ternary.rope %x, %other heads 1 : tensor<?x64xf32>, tensor<4x64xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x64xf32>, index, !ternary.kv_cache<1x64xf32>) -> tensor<?x64xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    %y = ternary.head %tail, %table : tensor<?x64xf32>, tensor<64x64xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

//--- wide.mlir
module attributes {ternary.files = [], ternary.model = {max_positions = 64 : i64, vocabulary = 64 : i64}} {
  ternary.weight @table : tensor<64x8192xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 8192], encoding = random>]
  func.func private @block(%x: tensor<?x8192xf32>, %position: index, %cache: !ternary.kv_cache<1x8192xf32>) -> tensor<?x8192xf32> {
    %y = ternary.attention %x, %x, %x, %cache at %position heads 1 : tensor<?x8192xf32>, tensor<?x8192xf32>, tensor<?x8192xf32>, !ternary.kv_cache<1x8192xf32>
    return %y : tensor<?x8192xf32>
  }
  func.func @main(%ids: tensor<?xi32>, %position: index, %wanted: index, %cache: !ternary.kv_cache<1x8192xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %table = ternary.load @table : tensor<64x8192xf32>
    %count = tensor.dim %ids, %zero : tensor<?xi32>
    %first = arith.subi %count, %wanted : index
    %angles = ternary.rope_angles %position, %count frequencies(dense<1.0> : tensor<4096xf32>) -> tensor<?x8192xf32>
    %x = ternary.embedding %ids, %table : tensor<?xi32>, tensor<64x8192xf32> -> tensor<?x8192xf32>
    %r = ternary.rope %x, %angles heads 1 : tensor<?x8192xf32>, tensor<?x8192xf32>
    %h = call @block(%r, %position, %cache) : (tensor<?x8192xf32>, index, !ternary.kv_cache<1x8192xf32>) -> tensor<?x8192xf32>
    %tail = tensor.extract_slice %h[%first, 0] [%wanted, 8192] [1, 1] : tensor<?x8192xf32> to tensor<?x8192xf32>
    %y = ternary.head %tail, %table : tensor<?x8192xf32>, tensor<64x8192xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}
