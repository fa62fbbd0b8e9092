// RUN: tern-opt %s --ternary-plan-memory --split-input-file --verify-diagnostics

func.func @argument(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  // expected-error @below {{expected the returned value to be computed in the function, got an argument}}
  return %x : tensor<?x4xf32>
}

// -----

ternary.weight @w : tensor<3x4xf32> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [3, 4], encoding = random>]
func.func @load() -> tensor<3x4xf32> attributes {ternary.entry} {
  %w = ternary.load @w : tensor<3x4xf32>
  // expected-error @below {{expected the returned value to be computed in the function, got the result of ternary.load}}
  return %w : tensor<3x4xf32>
}

// -----

func.func @view(%x: tensor<?x4xf32>, %n: index) -> tensor<?x4xf32> attributes {ternary.entry} {
  %y = arith.addf %x, %x : tensor<?x4xf32>
  %v = tensor.extract_slice %y[0, 0] [%n, 4] [1, 1] : tensor<?x4xf32> to tensor<?x4xf32>
  // expected-error @below {{expected the returned value to be computed in the function, got the result of tensor.extract_slice}}
  return %v : tensor<?x4xf32>
}

// -----

func.func private @twice(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %y = arith.addf %x, %x : tensor<?x4xf32>
  // expected-error @below {{expected each value to be returned once}}
  return %y, %y : tensor<?x4xf32>, tensor<?x4xf32>
}
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  %y:2 = call @twice(%x) : (tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>)
  return %y#0 : tensor<?x4xf32>
}

// -----

// expected-error @below {{expected one function with a body and ternary.entry}}
module {
  func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
    %y = arith.addf %x, %x : tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}

// -----

func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  %y = arith.addf %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
// expected-error @below {{expected one function with ternary.entry, got another: f}}
func.func @g(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  %y = arith.addf %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @below {{expected no recursion: the arena is planned before the run}}
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  %y = call @f(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func private @outside(%x: tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  // expected-error @below {{expected a function with a body in this module}}
  %y = call @outside(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @below {{expected a tensor of f32, i8 or i32 rows that fits in the arena, got 'tensor<?x4xf64>'}}
func.func @f(%x: tensor<?x4xf64>) -> tensor<?x4xf64> attributes {ternary.entry} {
  %y = arith.addf %x, %x : tensor<?x4xf64>
  return %y : tensor<?x4xf64>
}

// -----

func.func @f(%x: tensor<?x4xf32>, %i: index) -> tensor<?x4xf32> attributes {ternary.entry} {
  // expected-error @below {{expected a tensor of f32, i8 or i32 rows that fits in the arena, got 'tensor<4398046511104x400xf32>'}}
  %h = ternary.rope_angles %i, %i frequencies(dense<1.0> : tensor<200xf32>) -> tensor<4398046511104x400xf32>
  %y = arith.addf %x, %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @end(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  // expected-error @below {{expected func.return at the end of a function}}
  llvm.unreachable
}

// -----

// expected-error @below {{expected a body of one block}}
func.func @blocks() attributes {ternary.entry} {
  cf.br ^bb1
^bb1:
  return
}
