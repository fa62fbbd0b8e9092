//===- ProductKernels.cpp - ternary products on GPUs ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tile of the two_bit packing is 64 bytes: 16 rows by 16 columns, a 32-bit word a row. A
// simdgroup reads eight tiles at once, 16 bytes a lane: lane l has rows 4 (l % 4) .. + 3 of tile
// l / 4, and meets them with the 16 activations of that tile's columns.
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/KernelParts.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::gpu {

/// Tiles that a simdgroup reads at once.
static constexpr int64_t kTiles = 8;
/// Simdgroups that share a row block of one token: each takes a part of its columns.
static constexpr int64_t kSplit = 4;
/// Simdgroups of a threadgroup of several tokens: each has a row block of its own.
static constexpr int64_t kBlocks = 4;
/// Tiles of activations that lie in threadgroup memory.
static constexpr int64_t kStaged = 32;

static constexpr const char *kResidual = "has_residual";

/// residual + value, when there is one.
static Num addResidual(GpuBuilder &b, Num value, Num at) {
  b.name("value", value);
  return b.choose(
      b.scalar(kResidual) == 0, [&] { return value; },
      [&] { return b.load("residual", at) + value; });
}

/// Element `at` of the scales, which are f32 or f16.
static Num loadScale(GpuBuilder &b, Num at) {
  Num scale = b.load("scale", at);
  return scale.isFloat() ? scale : b.half(scale);
}

/// Sums over the lanes that have the same rows.
static Num sumOverTiles(GpuBuilder &b, Num value) { return b.simdSum(value, 16, 4); }

//===----------------------------------------------------------------------===//
// One token row
//===----------------------------------------------------------------------===//

/// Four sums a row, of codes left where they are in their byte: 1, 4, 16 and 64 times too large.
static Nums sumsInPlace(GpuBuilder &b, Num quad, Num block) {
  constexpr int64_t kStep = kTiles * kSplit;
  Num tiles = b.scalar("k_tiles"), last = b.name("last_tile", tiles - 1);
  Num first = b.name("first_tile", b.simdgroup() * kTiles + b.lane() / 4);
  Num start = b.name("block_start", block * tiles);
  // Behind the last tile the last one is read again, and not used.
  auto load = [&](Num tile) {
    return b.load("weight", (start + b.smaller(tile, last)) * 4 + quad);
  };
  Nums init(16, b.i32(0));
  init.push_back(b.name("first_codes", load(first)));
  Nums state = b.loop("tile", first, tiles, kStep, init, [&](Num tile, ArrayRef<Num> now) {
    b.comment("The next tile's codes are on their way while this one's are worked on.");
    Num ahead = b.name("codes", load(tile + kStep));
    Num acts = b.name("q", b.load("acts", tile));
    Nums next;
    for (size_t r = 0; r < 4; ++r)
      for (size_t s = 0; s < 4; ++s)
        next.push_back(b.call(
            "dot4", {b.element(now[16], static_cast<int64_t>(r)) & (int64_t(0x03030303u) << 2 * s),
                     b.element(acts, static_cast<int64_t>(s)), now[4 * r + s]}));
    next.push_back(ahead);
    return next;
  });
  state.resize(16);
  return state;
}

static void buildMatvec(GpuBuilder &b, const KernelInfo &) {
  Num block = b.name("block", b.group());
  Num quad = b.name("quad", b.lane() % 4);
  Nums sums = sumsInPlace(b, quad, block);
  Num lane = b.lane(), simdgroup = b.simdgroup();
  for (int64_t r = 0; r < 4; ++r) {
    Num sum = sums[4 * r];
    for (int64_t s = 1; s < 4; ++s)
      sum = sum + b.shiftRightSigned(sums[4 * r + s], 2 * s);
    sum = b.name("sum", sumOverTiles(b, sum));
    b.when(lane < 4, [&] { b.storeShared(sum, simdgroup * kBlockRows + (quad * 4 + r)); });
  }
  b.barrier();
  Num thread = b.thread();
  Num row = b.name("row", block * kBlockRows + thread);
  Num mine = (thread < kBlockRows) & (row < b.scalar("rows"));
  b.comment("One thread a row: the parts meet, codes become trits, the epilogue.");
  b.when(mine, [&] {
    Num sum = b.loadShared(thread);
    for (int64_t part = 1; part < kSplit; ++part)
      sum = sum + b.loadShared(thread + part * kBlockRows);
    sum = sum + b.load("offsets", b.i32(0));
    Num scaled = (b.toFloat(sum) * loadScale(b, row)) * b.load("row_scales", b.i32(0));
    b.store(addResidual(b, scaled, row), "out", row);
  });
}

//===----------------------------------------------------------------------===//
// Several token rows
//===----------------------------------------------------------------------===//

/// Activations of tiles chunk .. chunk + kStaged - 1 of all tokens, zero where there are none.
static void stageActs(GpuBuilder &b, Num firstToken, Num groupStart, Num chunk, Num groupTiles) {
  Num m = b.scalar("tokens");
  b.barrier();
  b.loop("e", b.thread(), b.i32(kTokens * kStaged), kBlocks * kSimdWidth, [&](Num e) {
    Num token = b.name("token", firstToken + e / kStaged);
    Num tile = b.name("tile", chunk + e % kStaged);
    Num inside = (token < m) & (tile < groupTiles);
    Num acts = b.choose(
        inside,
        [&] { return b.load("acts", token * b.scalar("acts_stride") + (groupStart + tile)); },
        [&] { return b.zeroQuad(); });
    b.storeShared(acts, e);
  });
  b.barrier();
}

/// Sums of codes * activations over one group: [row][token], of this lane's rows and tile.
static Nums groupSums(GpuBuilder &b, Num block, Num quad, Num firstToken, Num groupStart,
                      Num groupTiles) {
  Num slot = b.name("slot", b.lane() / 4);
  Num inBlock = block < b.scalar("blocks");
  Nums zeros(4 * kTokens, b.i32(0));
  return b.loop("chunk", b.i32(0), groupTiles, kStaged, zeros, [&](Num chunk, ArrayRef<Num> sums) {
    stageActs(b, firstToken, groupStart, chunk, groupTiles);
    return b.loop("step", slot, b.i32(kStaged), kTiles, sums, [&](Num step, ArrayRef<Num> state) {
      Num tile = b.name("tile", chunk + step);
      Num inside = inBlock & (tile < groupTiles);
      Num at = (block * b.scalar("k_tiles") + (groupStart + tile)) * 4 + quad;
      Num codes = b.name(
          "codes",
          b.choose(inside, [&] { return b.load("weight", at); }, [&] { return b.zeroQuad(); }));
      Nums next(4 * kTokens);
      for (int64_t token = 0; token < kTokens; ++token) {
        Num acts = b.name("q" + std::to_string(token), b.loadShared(step + token * kStaged));
        for (int64_t r = 0; r < 4; ++r)
          next[r * kTokens + token] =
              b.call("dot16", {b.element(codes, r), acts, state[r * kTokens + token]});
      }
      return next;
    });
  });
}

/// Group `g` of the totals: sums over lanes, codes become trits, times the group's scale and, with
/// `actScales`, the activations' own in this group.
static Nums addGroup(GpuBuilder &b, bool actScales, ArrayRef<Num> sums, ArrayRef<Num> totals,
                     Num block, Num quad, Num firstToken, Num g) {
  Num groups = b.scalar("groups"), one = groups == 1;
  Num inBlock = block < b.scalar("blocks");
  Nums offsets, rowScales, next(4 * kTokens);
  Num scaleGroups = actScales ? b.scalar("scale_groups") : groups;
  Num scaleGroup = actScales ? b.name("scale_group", g / (groups / scaleGroups)) : g;
  for (int64_t token = 0; token < kTokens; ++token) {
    Num row = firstToken + token;
    Num last = b.scalar("tokens") - 1;
    Num at = b.name("at", b.select(row < last, row, last) * groups + g);
    offsets.push_back(b.name("offset", b.load("offsets", at)));
    if (actScales)
      rowScales.push_back(b.name("row_scale", b.load("row_scales", at)));
  }
  for (int64_t r = 0; r < 4; ++r) {
    Num at = (block * scaleGroups + scaleGroup) * kBlockRows + (quad * 4 + r);
    Num scale =
        b.name("group_scale",
               b.choose(inBlock, [&] { return loadScale(b, at); }, [&] { return b.f32(0); }));
    for (int64_t token = 0; token < kTokens; ++token) {
      Num total = totals[r * kTokens + token];
      Num sum = b.name("sum", sumOverTiles(b, sums[r * kTokens + token]) +
                                  offsets[static_cast<size_t>(token)]);
      Num exact = b.name("exact", b.toFloat(sum));
      if (actScales)
        exact = exact * rowScales[static_cast<size_t>(token)];
      Num added = b.fusedMultiplyAdd(exact, scale, total);
      next[r * kTokens + token] =
          b.name("total", actScales ? added : b.select(one, exact * scale, added));
    }
  }
  return next;
}

template <bool ActScales> static void buildMatmul(GpuBuilder &b, const KernelInfo &) {
  Num quad = b.name("quad", b.lane() % 4), slot = b.name("slot", b.lane() / 4);
  Num block = b.name("block", b.group() * kBlocks + b.simdgroup());
  Num firstToken = b.name("first_token", b.group(1) * kTokens);
  Num groups = b.scalar("groups");
  Num groupTiles = b.name("group_tiles", b.scalar("k_tiles") / groups);
  Nums zeros(4 * kTokens, b.f32(0));
  Nums totals = b.loop("g", b.i32(0), groups, 1, zeros, [&](Num g, ArrayRef<Num> state) {
    Nums sums = groupSums(b, block, quad, firstToken, g * groupTiles, groupTiles);
    return addGroup(b, ActScales, sums, state, block, quad, firstToken, g);
  });
  for (int64_t token = 0; token < kTokens; ++token) {
    Num m = b.name("m", firstToken + token);
    Num mine = (slot == token) & (m < b.scalar("tokens"));
    b.when(mine, [&] {
      Num rowScale = ActScales ? b.f32(1) : b.name("row_scale", b.load("row_scales", m));
      for (int64_t r = 0; r < 4; ++r) {
        Num row = b.name("row", block * kBlockRows + (quad * 4 + r));
        Num total = totals[r * kTokens + token];
        Num value = ActScales ? total : total * rowScale;
        b.when(row < b.scalar("rows"), [&] {
          Num from = m * b.scalar("residual_stride") + row;
          b.store(addResidual(b, value, from), "out", m * b.scalar("out_stride") + row);
        });
      }
    });
  }
}

//===----------------------------------------------------------------------===//
// Float activations
//===----------------------------------------------------------------------===//

/// The four partial sums of one tile: columns 4 s + j go to sum j.
static Nums addTile(GpuBuilder &b, Num word, Num firstColumn, Num rowStart, ArrayRef<Num> sums) {
  Nums next(sums.begin(), sums.end());
  Num last = b.scalar("columns") - 1;
  for (int64_t s = 0; s < 4; ++s)
    for (int64_t j = 0; j < 4; ++j) {
      Num column = firstColumn + (4 * s + j);
      // Beyond the last column all trits are zero: any number may be read there.
      Num x = b.load("acts", rowStart + b.select(column < last, column, last));
      Num trit = b.toFloat(((word >> (8 * j + 2 * s)) & 3) - 1);
      next[static_cast<size_t>(j)] = next[static_cast<size_t>(j)] + trit * x;
    }
  return next;
}

static void buildMatmulFloat(GpuBuilder &b, const KernelInfo &info) {
  Num row = b.name("row", b.group() * info.threads + b.thread());
  Num m = b.name("m", b.group(1));
  b.when(row < b.scalar("rows"), [&] {
    Num groups = b.scalar("groups"), tiles = b.scalar("k_tiles");
    Num groupTiles = b.name("group_tiles", tiles / groups);
    Num block = b.name("block", row / kBlockRows), lane = b.name("row_lane", row % kBlockRows);
    Num rowStart = b.name("row_start", m * b.scalar("acts_stride"));
    Num total = b.loop("g", b.i32(0), groups, 1, {b.f32(0)}, [&](Num g, ArrayRef<Num> state) {
      Num zero = b.f32(0);
      Num first = b.name("first", g * groupTiles);
      Nums p = b.loop("t", b.i32(0), groupTiles, 1, {zero, zero, zero, zero},
                      [&](Num t, ArrayRef<Num> sums) {
                        Num tile = b.name("tile", first + t);
                        Num at = (block * tiles + tile) * kBlockRows + lane;
                        Num word = b.name("word", b.load("weight", at));
                        return addTile(b, word, tile * 16, rowStart, sums);
                      });
      Num scale = b.name("group_scale", loadScale(b, (block * groups + g) * kBlockRows + lane));
      Num sum = b.name("group_sum", (p[0] + p[2]) + (p[1] + p[3]));
      return Nums{b.name(
          "total", b.select(groups == 1, sum * scale, b.fusedMultiplyAdd(sum, scale, state[0])))};
    })[0];
    Num value = addResidual(b, total, m * b.scalar("residual_stride") + row);
    b.store(value, "out", m * b.scalar("out_stride") + row);
  });
}

std::vector<KernelInfo> productKernels() {
  KernelInfo matvec;
  matvec.name = "matvec_two_bit";
  matvec.comment =
      "One int8 row times packed trits, one scale a row: rescaled, plus the residual.\n"
      "A threadgroup has one block of 16 weight rows; its simdgroups split the columns.";
  matvec.buffers = {{"weight", Element::Quad},  {"scale", Element::F32},
                    {"acts", Element::Quad},    {"row_scales", Element::F32},
                    {"offsets", Element::I32},  {"residual", Element::F32},
                    {"out", Element::F32, true}};
  matvec.scalars = {{"rows"}, {"k_tiles"}, {kResidual}};
  matvec.threads = kSplit * kSimdWidth;
  matvec.sharedCount = kSplit * kBlockRows;
  matvec.build = buildMatvec;

  KernelInfo matmul = matvec;
  matmul.name = "matmul_two_bit";
  matmul.comment =
      "int8 rows times packed trits, scales by row and group: rescaled, plus the "
      "residual.\nA threadgroup has 8 token rows and 4 blocks of 16 weight rows, one a "
      "simdgroup;\nactivations are staged in threadgroup memory.";
  matmul.scalars = {{"rows"},   {"k_tiles"},     {kResidual},         {"blocks"},    {"groups"},
                    {"tokens"}, {"acts_stride"}, {"residual_stride"}, {"out_stride"}};
  matmul.threads = kBlocks * kSimdWidth;
  matmul.itemsX = kBlocks;
  matmul.itemsY = kTokens;
  matmul.sharedElement = Element::Quad;
  matmul.sharedCount = kTokens * kStaged;
  matmul.build = buildMatmul<false>;

  KernelInfo groups = matmul;
  groups.name = "matmul_groups_two_bit";
  groups.comment += "\nActivations have a scale for each group, too.";
  groups.scalars.push_back({"scale_groups"});
  groups.build = buildMatmul<true>;

  KernelInfo floats;
  floats.name = "matmul_f32_two_bit";
  floats.comment =
      "Float rows times packed trits: four partial sums a group, in order. A thread has "
      "one weight row\nof one token.";
  floats.buffers = {{"weight", Element::I32},
                    {"scale", Element::F32},
                    {"acts", Element::F32},
                    {"residual", Element::F32},
                    {"out", Element::F32, true}};
  floats.scalars = {{"rows"},    {"k_tiles"},     {kResidual},         {"groups"},
                    {"columns"}, {"acts_stride"}, {"residual_stride"}, {"out_stride"}};
  floats.threads = 64;
  floats.itemsX = 64;
  floats.build = buildMatmulFloat;
  std::vector<KernelInfo> kernels = {matvec, matmul, groups, floats};
  for (size_t i = 0; i < 4; ++i) {
    KernelInfo half = kernels[i];
    half.name += "_f16";
    half.comment += "\nScales are f16.";
    half.buffers[1].element = Element::F16;
    kernels.push_back(half);
  }
  return kernels;
}

} // namespace tern::gpu
