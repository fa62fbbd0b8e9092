//===- Passes.td - every pass, in pipeline order --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_PASSES_TD
#define TERN_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

class Ternary_Pass<string name> : Pass<"ternary-" # name, "::mlir::ModuleOp"> {
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::tensor::TensorDialect", "::tern::ternary::TernaryDialect"];
}

def QuantizeWeights : Ternary_Pass<"quantize-weights"> {
  let summary = "float master weights become trit weights and scale weights, by reference";
  let description = [{
    `ternary.quantize_weight` of a loaded weight becomes two weights over the same bytes:
    `absmean_trits` and `absmean_scale`. Nothing is computed here. The names are the master's
    without `.master`, and that with `.scale`. A master that nothing else uses goes.

    ```mlir
    // before
    ternary.weight @ffn_up.master : tensor<64x32xbf16> from [#ternary.source<..., encoding = bf16>]
    %w = ternary.load @ffn_up.master : tensor<64x32xbf16>
    %t, %s = ternary.quantize_weight %w : tensor<64x32xbf16> -> tensor<64x32x!ternary.trit>, tensor<1xf32>
    // after
    ternary.weight @ffn_up : tensor<64x32x!ternary.trit>
      from [#ternary.source<..., encoding = bf16, derive = absmean_trits>]
    ternary.weight @ffn_up.scale : tensor<1xf32>
      from [#ternary.source<..., encoding = bf16, derive = absmean_scale>]
    %t = ternary.load @ffn_up : tensor<64x32x!ternary.trit>
    %s = ternary.load @ffn_up.scale : tensor<1xf32>
    ```

    Left alone: operands that are not loads, weights of several sources (the mean is one of the
    whole matrix), with a derivation of their own, or of an element type coarser than the source.
  }];
}

def QuantizeActivations : Ternary_Pass<"quantize-activations"> {
  let summary = "linear layers on int8 activations become quantize_rows, matmul and rescale";
  let description = [{
    ```mlir
    // before
    %y = ternary.linear %x, %w, %s activations(int8_per_token) : ...
    // after; the group is K / G
    %q, %rs, %offsets = ternary.quantize_rows %x group 512 : ...
    %acc = ternary.matmul %q, %w : ...
    %y = ternary.rescale %acc, %rs, %s : ...
    ```

    `float` linears stay: kernels take them as they are.
  }];
}

def FuseNormQuantize : Ternary_Pass<"fuse-norm-quantize"> {
  let summary = "a norm that is only quantized moves into quantize_rows";
  let description = [{
    Run CSE first: then layers that share a norm share its one `quantize_rows`.

    ```mlir
    // before
    %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : ...
    %q, %rs, %offsets = ternary.quantize_rows %n group 512 : ...
    // after
    %q, %rs, %offsets = ternary.quantize_rows %x norm(%g, 1.0e-05) group 512 : ...
    ```

    Left alone: norms with any other user.
  }];
}

def FuseEpilogue : Ternary_Pass<"fuse-epilogue"> {
  let summary = "matmul, rescale and the residual addition become fused_linear";
  let description = [{
    ```mlir
    // before
    %acc = ternary.matmul %q, %w : ...
    %y = ternary.rescale %acc, %rs, %s : ...
    %h1 = arith.addf %h, %y : ...
    // after
    %h1 = ternary.fused_linear %q, %rs, %offsets, %w, %s residual(%h : ...) : ...
    ```

    A `linear` on float activations takes the residual in the same way.

    Left alone: products with other users, activations and row scales that are not of one
    `quantize_rows` with the scale's group, additions with the product on the left or with
    fast-math flags.
  }];
}

def ExploitSparsity : Ternary_Pass<"exploit-sparsity"> {
  let summary = "products whose result a closed ReLU-squared gate drops become gated_linear";
  let description = [{
    Where the gate is closed, `up` is multiplied by zero and need not be computed; only the sign of
    that zero changes, which `quantize_rows` does not see. `ternary-choose-packing` then gives the
    weight rows that lie contiguous, and the product of the quantized result columns that do.

    ```mlir
    // before
    %g = ternary.fused_linear %q, %rs, %offsets, %wg, %sg : ...
    %u = ternary.fused_linear %q, %rs, %offsets, %wu, %su : ...
    %h = ternary.gated_activation relu2 %g, %u : ...
    %r:3 = ternary.quantize_rows %h norm(%gain, 1.0e-05) group 1408 : ...
    // after
    %g = ternary.fused_linear %q, %rs, %offsets, %wg, %sg : ...
    %h = ternary.gated_linear %q, %rs, %offsets, %wu, %su gate(%g : ...) : ...
    %r:3 = ternary.quantize_rows %h norm(%gain, 1.0e-05) group 1408 : ...
    ```

    Left alone: other gates, results with a user that is not `quantize_rows`, products with another
    user, a residual, several groups or more than 16384 columns.
  }];
}

def MergeLinears : Ternary_Pass<"merge-linears"> {
  let summary = "products of the same activations become one product of a merged weight";
  let description = [{
    q, k and v, or gate and up: one kernel call and one barrier instead of several. The merged
    weight lists the sources of its parts, each part padded with zero rows to a multiple of 64, so
    that every result slice starts on a whole row block and an aligned float. Its scale is `[N]`, or
    `[N, G]` with k-groups. `linear`s on float activations are merged like `fused_linear`s. Weights that a function takes as arguments are merged in all its callers.

    ```mlir
    // before
    %q = ternary.fused_linear %a, %rs, %offsets, %wq, %sq : ..., tensor<512x512x!ternary.trit>, ...
    %k = ternary.fused_linear %a, %rs, %offsets, %wk, %sk : ..., tensor<256x512x!ternary.trit>, ...
    // after
    %qk = ternary.fused_linear %a, %rs, %offsets, %wqk, %sqk : ..., tensor<768x512x!ternary.trit>, ...
    %m = tensor.dim %qk, %c0 : tensor<?x768xf32>
    %q = tensor.extract_slice %qk[0, 0] [%m, 512] [1, 1] : ...
    %k = tensor.extract_slice %qk[0, 512] [%m, 256] [1, 1] : ...
    ```

    Left alone: products with a residual, returned products, weight arguments with another use or of
    functions whose callers are not all known, weights that are neither loads nor arguments.
  }];
  let options = [
    Option<"segmentRows", "segment-rows", "int64_t", "64",
           "Multiple of rows to which each part of a merged weight is padded">
  ];
}

def ChoosePacking : Ternary_Pass<"choose-packing"> {
  let summary = "decides how trits and their scales lie in bytes";
  let description = [{
    The weight of each `fused_linear` and of each `linear` on floats gets a `#ternary.packing`, its scale becomes
    `tensor<NxGxf32, #ternary.scales>` (one scale of the whole tensor is repeated); both through
    loads and call arguments.

    ```mlir
    // before
    ternary.weight @w : tensor<512x512x!ternary.trit> from ...
    ternary.weight @s : tensor<1xf32> from ...
    // after
    ternary.weight @w : tensor<512x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>> from ...
    ternary.weight @s : tensor<512x1xf32, #ternary.scales<rows = 16>> from ...
    ```

    Whatever is asked for, the weight of a `gated_linear` gets `two_bit_rows`, and that of a
    `fused_linear` on the quantized result of one `two_bit_columns`, if its rows are a multiple of 256
    and it has one group: kernels skip rows and columns of these.

    A k-group must be whole tiles: where `base3` (k = 20) does not divide it, and for float
    activations, `two_bit` is taken, and a remark says why. `shapes` lists packings of matrices
    of a shape, `6912x2560:base3`, which take precedence; one that a product of that shape
    cannot have is an error.
  }];
  let options = [
    Option<"packing", "packing", "::tern::ternary::PackingKind",
           "::tern::ternary::PackingKind::TwoBit", "How trits lie in bytes",
           [{::llvm::cl::values(
               clEnumValN(::tern::ternary::PackingKind::TwoBit, "two_bit", "2 bits a trit"),
               clEnumValN(::tern::ternary::PackingKind::Base3, "base3", "5 trits a byte"))}]>,
    Option<"rows", "rows", "int64_t", "16", "Rows of a tile">,
    ListOption<"shapes", "shapes", "std::string", "Packings by shape, ROWSxCOLUMNS:PACKING">
  ];
}

def ScreenHead : Ternary_Pass<"screen-head"> {
  let summary = "heads over large tables get a coarse copy of the table";
  let description = [{
    The copy changes no logit; it lets a call that wants only the largest one rule out most rows of the
    table unread (`docs/two-stage-head.md`). The table becomes the last weight: a loader can leave it in
    its file.

    ```mlir
    // before
    %l = ternary.head %x, %e : ...
    // after
    ternary.weight @embed.screen : tensor<128256x2560xbf16, #ternary.screen<bits = 6>> from [...]
    %c = ternary.load @embed.screen : ...
    %l = ternary.head %x, %e screen(%c : ...) : ...
    ```

    Left alone: heads whose logits are not what the entry returns, tables that are no loads, of
    fewer bytes than `min-bytes` or of more than 16384 columns.
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "6", "Bits of a screen's integers: 6 or 8">,
    Option<"minBytes", "min-bytes", "int64_t", "33554432", "Smallest table that gets a screen">
  ];
}

def PackWeights : Ternary_Pass<"pack-weights"> {
  let summary = "gives every weight its place in the packed weight section";
  let description = [{
    Drops weights that nothing loads and sets `section` (offset, bytes) of the others: 64-byte
    aligned, in module order; trits without a packing get none. The module gets `ternary.weights_bytes`. The bytes themselves are made by
    `writeWeights` (PackWeights.h), one row block at a time; never in the IR.

    * `#ternary.packing`: as `dialect/Packing.h`;
    * `#ternary.scales<rows = R>`: `[ceil(N / R)][G][R]` floats;
    * other matrices: row by row in their element type, rows padded with zeros to a multiple of
      64 elements; vectors likewise, as one row.

    ```mlir
    // before
    ternary.weight @norm : tensor<100xf32> from [...]
    // after
    ternary.weight @norm : tensor<100xf32> from [...] section [0, 512]
    ```
  }];
  let options = [
    Option<"output", "output", "std::string", "",
           "File to write the packed weight section to (none: only the layout)">,
    Option<"folder", "folder", "std::string", "\".\"",
           "Folder of the module's ternary.files, for output">
  ];
}

def PlanMemory : Ternary_Pass<"plan-memory"> {
  let summary = "gives every intermediate tensor its place in one arena";
  let description = [{
    Each op whose tensor results need storage gets `ternary.arena`, one offset a result (-1: none).
    Functions get `ternary.arena_bytes` (their own locals), the entry function also
    `ternary.argument_arena`, the module `ternary.arena_bytes` (the deepest chain of calls) and
    `ternary.max_rows`.

    A function's offsets count from its own base; a callee's base is the end of its caller's locals.
    What a callee returns is written straight into the storage of the call's result, so it has -1 in
    the callee. Offsets and sizes are multiples of 64; rows have the padding of `dialect/Packing.h`;
    `max-rows` stands for a dynamic number of rows. First fit by liveness: storage is reused after the
    last use, counting uses of slices, and never shared by an op's results and operands.

    ```mlir
    // before
    %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x100xf32>, tensor<100xf32>
    // after
    %n = ternary.rms_norm %x, %g epsilon 1.0e-05 {ternary.arena = array<i64: 65536>} : ...
    ```
  }];
  let options = [
    Option<"maxRows", "max-rows", "int64_t", "256", "Rows of the largest input a call takes">
  ];
}

def VerifyPacked : Ternary_Pass<"verify-packed"> {
  let summary = "checks the promises that code generation relies on";
  let description = [{
    Changes nothing. Fails, naming the op and the pass that should have dealt with it, on:
    `linear` on int8 activations, `quantize_weight`, `pack`, `unpack`, `matmul` and `rescale`; products whose weight or
    scale is not packed, or packed for kernels that cannot run them; weights without a section; results without an arena offset.
  }];
}

#endif // TERN_PASSES_PASSES_TD
