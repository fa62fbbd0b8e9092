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
