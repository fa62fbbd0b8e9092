// RUN: tern-opt %s --ternary-lower-to-llvm=target=x86-64 --split-input-file --verify-diagnostics

// expected-error@+1 {{no function has the attribute ternary.entry}}
module {}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @one() attributes {ternary.entry} { return }
  // expected-error@+1 {{is a second ternary.entry; the first is @one}}
  func.func @two() attributes {ternary.entry} { return }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{calls itself; recursive functions cannot be compiled}}
  func.func @f() attributes {ternary.entry} {
    call @f() : () -> ()
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{expected ternary.argument_arena with 1 offsets; run ternary-plan-memory}}
  func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    return %x : tensor<?x64xf32>
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    // expected-error@+1 {{cannot be compiled; expected a module from ternary-prepare}}
    %y = tensor.cast %x : tensor<?x64xf32> to tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func private @outside()
  func.func @main() attributes {ternary.entry} {
    // expected-error@+1 {{calls a function without a body}}
    call @outside() : () -> ()
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{expected a function of one block}}
  func.func @main() attributes {ternary.entry, ternary.argument_arena = array<i64>} {
    cf.br ^bb1
  ^bb1:
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{expected f32 matrices, i32 vectors, caches and indices, got argument 0 of type 'tensor<?xf64>'}}
  func.func @main(%x: tensor<?xf64>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{argument 0 of type 'tensor<?x64xf32>' has no arena offset}}
  func.func @main(%x: tensor<?x64xf32>) attributes {ternary.entry, ternary.argument_arena = array<i64: -1>} {
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  ternary.weight @w : tensor<64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64], encoding = random>]
  func.func @main() attributes {ternary.entry, ternary.argument_arena = array<i64>} {
    // expected-error@+1 {{weight @w has no section}}
    %w = ternary.load @w : tensor<64xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>, %i: index) attributes {ternary.entry, ternary.argument_arena = array<i64: 0, -1>} {
    // expected-error@+1 {{expected the constant number of a dimension}}
    %n = tensor.dim %x, %i : tensor<?x64xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main() attributes {ternary.entry, ternary.argument_arena = array<i64>} {
    // expected-error@+1 {{is not supported on values of type 'i64'}}
    %n = arith.constant 1 : i64
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%ids: tensor<?xi32>) -> tensor<?xi32> attributes {ternary.entry, ternary.argument_arena = array<i64: -1>} {
    // expected-error@+1 {{expected f32 matrices as results, got 'tensor<?xi32>'}}
    return %ids : tensor<?xi32>
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>, %g: tensor<2x16xf32>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0, 4096>} {
    %s = tensor.extract_slice %x[0, 0] [2, 16] [1, 2] : tensor<?x64xf32> to tensor<2x16xf32> // expected-error {{expected a slice of whole elements, stride 1, of a matrix}}
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>, %i: index) attributes {ternary.entry, ternary.argument_arena = array<i64: 0, -1>} {
    // expected-error@+1 {{expected a constant first column}}
    %s = tensor.extract_slice %x[0, %i] [2, 16] [1, 1] : tensor<?x64xf32> to tensor<2x16xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    // expected-error@+1 {{expected an arena offset for result #0; run ternary-plan-memory}}
    %y = arith.addf %x, %x : tensor<?x64xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%p: index) attributes {ternary.entry, ternary.argument_arena = array<i64: -1>} {
    // expected-error@+1 {{expected dense frequencies}}
    %y = ternary.rope_angles %p, %p frequencies(dense_resource<none> : tensor<32xf32>) {ternary.arena = array<i64: 0>} -> tensor<?x64xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x128xf32>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    %h = tensor.extract_slice %x[0, 64] [2, 64] [1, 1] : tensor<?x128xf32> to tensor<2x64xf32>
    // expected-error@+1 {{argument 0 is a slice of columns; only whole rows can be passed to a function}}
    call @f(%h) : (tensor<2x64xf32>) -> ()
    return
  }
  func.func private @f(%x: tensor<2x64xf32>) {
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  ternary.weight @w : tensor<4x64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4, 64], encoding = random>] section [0, 1024]
  func.func @main(%x: tensor<4x64xf32>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    call @f(%x) : (tensor<4x64xf32>) -> ()
    %w = ternary.load @w : tensor<4x64xf32>
    // expected-error@+1 {{argument 0 of @f is a weight in some calls and a computed value in others}}
    call @f(%w) : (tensor<4x64xf32>) -> ()
    return
  }
  func.func private @f(%x: tensor<4x64xf32>) {
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%x: tensor<?x64xf32>, %i: index) attributes {ternary.entry, ternary.argument_arena = array<i64: 0, -1>} {
    // expected-error@+1 {{cannot tell how many rows @f returns}}
    %y = call @f(%x, %i) {ternary.arena = array<i64: 4096>} : (tensor<?x64xf32>, index) -> tensor<?x64xf32>
    return
  }
  func.func private @f(%x: tensor<?x64xf32>, %i: index) -> tensor<?x64xf32> {
    %n = arith.addi %i, %i : index
    %y = tensor.extract_slice %x[0, 0] [%n, 64] [1, 1] : tensor<?x64xf32> to tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  // expected-error@+1 {{expected f32 matrices, i32 vectors, caches and indices}}
  func.func @main(%x: tensor<4x64xi32>) attributes {ternary.entry, ternary.argument_arena = array<i64: 0>} {
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  ternary.weight @w : tensor<64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64], encoding = random>] section [0, 256]
  func.func @main() attributes {ternary.entry, ternary.argument_arena = array<i64>} {
    %w = ternary.load @w : tensor<64xf32>
    // expected-error@+1 {{expected f32 matrices, got 'tensor<64xf32>'}}
    %y = arith.addf %w, %w {ternary.arena = array<i64: 0>} : tensor<64xf32>
    return
  }
}

// -----

module attributes {ternary.max_rows = 8 : i64} {
  func.func @main(%q: tensor<?x64xi8>, %s: tensor<?xf32>, %o: tensor<?x1xi32>, %w: tensor<16x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, %ws: tensor<16x1xf32, #ternary.scales<rows = 16>>) attributes {ternary.entry} {
    // expected-error@+1 {{names no known kernel in ternary.gemv; run ternary-select-kernels}}
    %y = ternary.fused_linear %q, %s, %o, %w, %ws : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<16x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, tensor<16x1xf32, #ternary.scales<rows = 16>> -> tensor<?x16xf32>
    return
  }
}
