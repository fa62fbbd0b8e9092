//===- TernaryDialect.td - types and attributes of the ternary dialect ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_TERNARYDIALECT_TD
#define TERN_DIALECT_TERNARYDIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/TensorEncoding.td"

def Ternary_Dialect : Dialect {
  let name = "ternary";
  let cppNamespace = "::tern::ternary";
  let summary = "Ternary (1.58-bit) neural networks, from the checkpoint to packed kernels.";
  let description = [{
    Weights are trits, `-1`, `0` or `+1`, with float scales beside them. A
    checkpoint's bytes never enter the IR: `ternary.weight` names them by file,
    offset and encoding.

    Floating-point semantics are exact, so that the interpreter, every kernel and
    every instruction set agree bit for bit. Three rules hold for all ops:

    * float arithmetic is IEEE binary32, each operation rounded on its own: no
      reassociation, and no fused multiply-add but where a formula says `fma`, which
      is `a * b + c` rounded once;
    * a sum over a row of `K` floats is taken in 32 interleaved partial sums,
      `partial[j] = sum of x[32 i + j]` in ascending `i`, starting from `+0`, and
      the partials are added as a tree: `p[j] += p[j + 16]`, then 8, 4, 2, 1;
    * `exp`, `cos` and `sin` are the polynomials of `Semantics.h`.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

class Ternary_Type<string name, string typeMnemonic> : TypeDef<Ternary_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Ternary_TritType : Ternary_Type<"Trit", "trit"> {
  let summary = "one ternary digit: -1, 0 or +1";
  let description = [{
    The element type of ternary weights: `tensor<6912x2560x!ternary.trit>` is a
    weight matrix of 6912 output rows and 2560 input columns. How trits lie in
    bytes is the tensor's encoding, `#ternary.packing`.
  }];
}

def Ternary_KVCacheType : Ternary_Type<"KVCache", "kv_cache"> {
  let summary = "the keys and values of one layer, for every position so far";
  let description = [{
    A reference to mutable storage of `heads` key rows and `heads` value rows of
    `headSize` elements for each position. `ternary.attention` reads and extends it.
    Elements are f32; f16, the nearest half float, finite; or i8 with a scale for
    each row of one head, as `ternary.quantize_rows` makes them (at least -127).

    Example: `!ternary.kv_cache<4 x 64 x f32>`, `!ternary.kv_cache<4 x 64 x i8>`
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$headSize, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Ternary_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Ternary_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

class Ternary_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::tern::ternary";
  let genSpecializedAttr = 0;
}

def Ternary_PackingKind : Ternary_Enum<"PackingKind", "how trits lie in bytes", [
  I32EnumAttrCase<"TwoBit", 0, "two_bit">,
  I32EnumAttrCase<"Base3", 1, "base3">,
  I32EnumAttrCase<"TwoBitRows", 2, "two_bit_rows">,
  I32EnumAttrCase<"TwoBitColumns", 3, "two_bit_columns">
]>;

def Ternary_PackingAttr : Ternary_Attr<"Packing", "packing", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "encoding of a trit matrix: tiles of 4-byte lanes";
  let description = [{
    The matrix is cut into blocks of `rows` rows; a block is a run of tiles of
    `rows` x `k` trits with ascending k, so one thread reads one ascending stream.
    A tile is `rows` lanes of 4 bytes. Missing rows and columns at the edges are
    zero trits.

    * `two_bit`, `k = 16`: byte `j` of lane `r` holds the codes `trit + 1` of
      columns `4 s + j` in bits `2 s .. 2 s + 1`, `s = 0 .. 3`.
    * `base3`, `k = 20`: byte `j` of lane `r` holds the digits `d[s] = trit + 1` of
      columns `4 s + j`, `s = 0 .. 4`. With `a = d[0] + 3 d[1]`, `c = d[2] + 3 d[3]` and
      `e = d[4]` it is

          64 e + 8 (c - 1) + (a - 1)        a > 0, c > 0
          192 + 8 e + (a - 1)               a > 0, c = 0
          192 + 8 (3 + e) + (c - 1)         a = 0, c > 0
          240, 241, 249 for e = 0, 1, 2     a = 0, c = 0

      so two lookups of 4-bit indices, 3 bits of the byte and whether it is 192 or more,
      give a decoder four digits, and two more the fifth. The other 13 bytes are invalid.
    * `two_bit_rows`, `rows = 16`, `k = 16`: the lanes of `two_bit`, in a block row after row: a
      row is contiguous, so that one alone can be read. Up to 16384 columns.
    * `two_bit_columns`, `rows = 256`, `k = 16`: a block is column after column, 64 bytes each, so
      that one alone can be read. Row `r` of the block is in byte `16 (r / 64) + r mod 16`, bits
      `2 s .. 2 s + 1` with `s = (r mod 64) / 16`. Up to 16384 columns.

    Example: `tensor<512x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>`
  }];
  let parameters = (ins EnumParameter<Ternary_PackingKind>:$kind, "int64_t":$rows, "int64_t":$k);
  let assemblyFormat = "`<` $kind `,` `rows` `=` $rows `,` `k` `=` $k `>`";
  let genVerifyDecl = 1;
}

def Ternary_ScalesAttr : Ternary_Attr<"Scales", "scales", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "encoding of a weight's scales for kernels";
  let description = [{
    `tensor<NxGxf32, #ternary.scales<rows = R>>` lies as `[ceil(N / R)][G][R]` floats, missing
    rows 0; halves if the elements are f16. The scales that go with a matrix packed in blocks of `R` rows.
  }];
  let parameters = (ins "int64_t":$rows);
  let assemblyFormat = "`<` `rows` `=` $rows `>`";
  let genVerifyDecl = 1;
}

def Ternary_ScreenAttr : Ternary_Attr<"Screen", "screen", [
    DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "encoding of a head's table in integers";
  let description = [{
    `tensor<VxKxbf16, #ternary.screen<bits = 6>>` has the values of the table, but lies in the
    weight section as integers of `bits` bits with bounds of what they leave out
    (`dialect/HeadScreen.h` has the layout). `ternary.head` uses it to find which rows can have the
    largest logit, or instead of the table. K is at most 16384, `bits` 6 or 8.
  }];
  let parameters = (ins "int64_t":$bits);
  let assemblyFormat = "`<` `bits` `=` $bits `>`";
  let genVerifyDecl = 1;
}

def Ternary_Encoding : Ternary_Enum<"Encoding", "how a weight's source bytes are to be read", [
  I32EnumAttrCase<"F32", 0, "f32">,
  I32EnumAttrCase<"F16", 1, "f16">,
  I32EnumAttrCase<"BF16", 2, "bf16">,
  I32EnumAttrCase<"HFPacked", 3, "hf_u8">,
  I32EnumAttrCase<"Random", 4, "random">,
  // Block formats, numbered as tern::blocks::Format.
  I32EnumAttrCase<"I2S", 5, "i2_s">,
  I32EnumAttrCase<"I2SL64", 6, "i2_s_l64">,
  I32EnumAttrCase<"I2SL4Row", 7, "i2_s_l4row">,
  I32EnumAttrCase<"TQ1_0", 8, "tq1_0">,
  I32EnumAttrCase<"TQ2_0", 9, "tq2_0">,
  I32EnumAttrCase<"Q2_0", 10, "q2_0">,
  I32EnumAttrCase<"PQ2_0", 11, "pq2_0">,
  I32EnumAttrCase<"PTQ1_0", 12, "ptq1_0">,
  I32EnumAttrCase<"IQ1_BN", 13, "iq1_bn">,
  I32EnumAttrCase<"IQ2_BN", 14, "iq2_bn">,
  I32EnumAttrCase<"MLX2", 15, "mlx2">,
  I32EnumAttrCase<"Q8_0", 16, "q8_0">,
  I32EnumAttrCase<"Q4_0", 17, "q4_0">,
  I32EnumAttrCase<"Q4_1", 18, "q4_1">,
  I32EnumAttrCase<"Q5_0", 19, "q5_0">,
  I32EnumAttrCase<"Q4_K", 20, "q4_k">,
  I32EnumAttrCase<"Q5_K", 21, "q5_k">,
  I32EnumAttrCase<"Q6_K", 22, "q6_k">
]>;

def Ternary_Derivation : Ternary_Enum<"Derivation", "what is computed from the decoded source", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Reciprocal", 1, "reciprocal">,
  I32EnumAttrCase<"AbsmeanTrits", 2, "absmean_trits">,
  I32EnumAttrCase<"AbsmeanScale", 3, "absmean_scale">,
  I32EnumAttrCase<"SignTrits", 4, "sign_trits">,
  I32EnumAttrCase<"MagnitudeScale", 5, "magnitude_scale">,
  I32EnumAttrCase<"BlockScale", 6, "block_scale">
]>;

// Left out of the text when nothing is derived.
def Ternary_DerivationParameter : EnumParameter<Ternary_Derivation> {
  let defaultValue = "::tern::ternary::Derivation::None";
}

def Ternary_SourceAttr : Ternary_Attr<"Source", "source"> {
  let summary = "where a weight's rows come from";
  let description = [{
    `bytes` bytes at `offset` of the file `file`, an index into the module's
    `ternary.files`; read as a matrix (or vector) of `shape` in `encoding`; and
    what is then derived from it:

    * `none`: the decoded values. `hf_u8` gives trits; f32, f16, bf16 and the
      many-valued block formats (`q8_0`, `q4_0`, `q4_1`, `q5_0`, `q4_k`, `q5_k`,
      `q6_k`) give floats; the ternary block formats (`i2_s` and its layouts,
      `tq1_0`, `tq2_0`, `q2_0`, `pq2_0`, `ptq1_0`, `iq1_bn`, `iq2_bn`, `mlx2`) and
      `random` give what the weight's type asks for;
    * `reciprocal`: `1 / value` (scales that a checkpoint divides by);
    * `absmean_trits`: `clamp(rint(w * (1 / m)), -1, 1)`, `m = max(mean |w|, 1e-5)`;
    * `absmean_scale`: that `m`, one value;
    * `sign_trits`: the sign of each value: of a float matrix that is already
      ternary, `t * scale`;
    * `magnitude_scale`: the scales of such a matrix: the largest `|w|` of the
      tensor, of each row, or of each k-group, as the weight's type asks;
    * `block_scale`: the scales that lie in the blocks of a ternary format: `[1]` for
      `i2_s`, `[N]` for `iq1_bn` and `iq2_bn`, `[N, K / 64]` for `q2_0`, `[N, K / 128]`
      for `pq2_0` and `ptq1_0`, `[N, K / 256]` for `tq1_0` and `tq2_0`.

    `random` reads no file: rows are a fixed pseudo-random sequence seeded by
    `offset` (trits uniform over -1, 0, 1; floats uniform in [-0.05, 0.05)). Of
    floats, `bytes` in a thousand are zero instead.

    `shape` of `hf_u8` and of block formats is that of the decoded matrix (rows,
    columns), not of the bytes.

    `permute` is a number of heads, 0 for none: the rows of each head of size `d` lie
    interleaved in the file, row `2 i + j` there is row `j (d / 2) + i` here. Reading
    undoes it.

    `scales` is the source of `mlx2`'s scales, one f16 or f32 a row and k-group, for
    weights of floats; a weight of trits has its scales in a weight of their own.
  }];
  let parameters = (ins "int64_t":$file, "int64_t":$offset, "int64_t":$bytes,
                        ArrayRefParameter<"int64_t">:$shape,
                        EnumParameter<Ternary_Encoding>:$encoding,
                        Ternary_DerivationParameter:$derive,
                        DefaultValuedParameter<"int64_t", "0">:$permute,
                        OptionalParameter<"::mlir::Attribute">:$scales);
  let builders = [AttrBuilder<(ins "int64_t":$file, "int64_t":$offset, "int64_t":$bytes,
                                   "::llvm::ArrayRef<int64_t>":$shape, "Encoding":$encoding,
                                   "Derivation":$derive), [{
    return $_get($_ctxt, file, offset, bytes, shape, encoding, derive, int64_t(0),
                 ::mlir::Attribute());
  }]>];
  let assemblyFormat = [{
    `<` struct($file, $offset, $bytes, custom<Shape>($shape), $encoding, $derive, $permute,
               $scales) `>`
  }];
  let genVerifyDecl = 1;
}

def Ternary_Activations : Ternary_Enum<"Activations", "precision of a linear layer's input", [
  I32EnumAttrCase<"Int8PerToken", 0, "int8_per_token">,
  I32EnumAttrCase<"Float", 1, "float">,
  // A scale for each group of so many columns of a token.
  I32EnumAttrCase<"Int8Per32", 2, "int8_per_32">,
  I32EnumAttrCase<"Int8Per64", 3, "int8_per_64">,
  I32EnumAttrCase<"Int8Per128", 4, "int8_per_128">
]>;
def Ternary_ActivationsAttr : EnumAttr<Ternary_Dialect, Ternary_Activations, "activations">;

def Ternary_GateKind : Ternary_Enum<"GateKind", "function applied to the gate", [
  I32EnumAttrCase<"Relu2", 0, "relu2">,
  I32EnumAttrCase<"Silu", 1, "silu">
]>;
def Ternary_GateKindAttr : EnumAttr<Ternary_Dialect, Ternary_GateKind, "gate">;

#endif // TERN_DIALECT_TERNARYDIALECT_TD
