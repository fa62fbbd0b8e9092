//===- generators.cpp - row kernels of one CPU level as bitcode -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Usage: tern-halide-kernels <halide target> <output.bc>
//
// Runs while the compiler is built; libHalide never meets MLIR in a process. A function takes
// its buffers and scalars in the order of RowKernel (codegen/HalideKernels.h). Of a buffer only
// the address is read: sizes and strides are scalars.
//
//===----------------------------------------------------------------------===//

#include "Expressions.h"

#include <cstdio>

using namespace Halide;
using namespace tern::halide;

namespace {

using Arguments = std::vector<Argument>;
using Stages = std::vector<Func>;

ImageParam row(Type type, const char *name) {
  ImageParam param(type, 1, name);
  param.dim(0).set_min(0);
  return param;
}

/// Rows `stride` elements apart.
ImageParam matrix(Type type, const char *name, Expr stride) {
  ImageParam param(type, 2, name);
  param.dim(0).set_min(0);
  param.dim(1).set_min(0).set_stride(stride);
  return param;
}

Expr roundUp(Expr value, int multiple) { return (value + (multiple - 1)) / multiple * multiple; }
Expr paddedRow(Expr n) { return roundUp(n, 64); }
Expr paddedActs(Expr n) { return roundUp(n, 320); }

/// As codegen/RowKernel.h has it.
constexpr int kHeadTokens = 4;
/// How far ahead memory is asked for where a table is read from end to end.
constexpr int kPrefetchBytes = 8192;

class Kernels {
public:
  explicit Kernels(const Target &target) : target(target), module("tern_rows", target) {}

  void addAll();
  void write(const std::string &path) { module.compile({{OutputFileType::bitcode, path}}); }

private:
  void add(const std::string &name, std::vector<Func> outputs, const Arguments &inputs);
  void addElementwise(const std::string &name, Expr (*formula)(Expr, Expr));
  void addRmsNorm();
  void addRmsNormHead();
  void addQuantize(const std::string &name, bool normalise);
  void addQuantizeGroups(const std::string &name, bool normalise);
  void addQuantized(const std::string &name, bool normalise, std::vector<Func> outputs,
                    Arguments inputs);
  void addRope();
  void addRopeAngles();
  void addTableRow(const std::string &name, Element element);
  void addHead(const std::string &name, Element element);
  void addHeadRows(const std::string &name, Element element);
  void addZeroPadding();

  Target target;
  Module module;
};

void Kernels::add(const std::string &name, std::vector<Func> outputs, const Arguments &inputs) {
  Module made = Pipeline(outputs).compile_to_module(inputs, "tern_halide_" + name, target,
                                                    LinkageType::External);
  for (const Internal::LoweredFunc &function : made.functions())
    module.append(function);
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

/// 32 sums of term(i), lane i mod 32, over the whole blocks of [0, blocks * 32).
template <typename Term> Func partialSums(const char *name, Expr blocks, Term term) {
  Func partial(name);
  Var lane("lane");
  RDom r(0, blocks, "block");
  partial(lane) = 0.0f;
  partial(lane) += term(32 * r + lane);
  partial.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
  partial.update().reorder(lane, r).vectorize(lane, kVector).unroll(lane);
  partial.store_in(MemoryType::Stack);
  return partial;
}

/// The terms of the last, incomplete block in their lanes, zeros after them.
template <typename Term> Func tailTerms(const char *name, Expr n, Term term) {
  Func tail(name);
  Var lane("lane");
  RDom r(0, n % kLanes, "rest");
  tail(lane) = 0.0f;
  tail(r) = term(n / kLanes * kLanes + r);
  tail.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
  tail.update().unscheduled();
  tail.store_in(MemoryType::Stack);
  return tail;
}

/// A partial sum is never -0, so adding the zeros of `tail` changes nothing.
Func joined(Func partial, Func tail) {
  Func both("both");
  Var lane("lane");
  both(lane) = partial(lane) + tail(lane);
  both.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
  both.store_in(MemoryType::Stack);
  return both;
}

Func scalar(const char *name, Expr value) {
  Func f(name);
  f() = value;
  f.compute_root().store_in(MemoryType::Stack);
  return f;
}

void computeRoot(Stages &stages) {
  for (Func &stage : stages)
    stage.compute_root();
}

/// 1 / sqrt(sum(x^2) / n + epsilon).
Func inverseRms(Func x, Expr n, Expr epsilon) {
  Func partial = partialSums("squares", paddedRow(n) / kLanes, [&](Expr i) { return x(i) * x(i); });
  Stages stages{partial};
  Func sum = addLanes(partial, stages);
  computeRoot(stages);
  return scalar("inverse", 1.0f / sqrt(sum(0) / cast<float>(n) + epsilon));
}

/// max(floor, term(i) for i < count): 64 running maxima, then one.
template <typename Term> Func largest(Expr floor, Expr count, Term term) {
  constexpr int width = 4 * kVector;
  Var lane("lane");
  Func lanes("largest_lanes"), folded("largest_folded"), all("largest");
  RDom r(0, count / width), rest(0, count % width), l(0, kVector);
  lanes(lane) = floor;
  lanes(lane) = larger(term(width * r + lane), lanes(lane));
  lanes.bound(lane, 0, width).vectorize(lane, kVector).unroll(lane);
  lanes.update().reorder(lane, r).vectorize(lane, kVector).unroll(lane);
  folded(lane) = larger(larger(lanes(lane), lanes(lane + kVector)),
                        larger(lanes(lane + 2 * kVector), lanes(lane + 3 * kVector)));
  folded.bound(lane, 0, kVector).vectorize(lane);
  all() = floor;
  all() = larger(folded(l), all());
  all() = larger(term(count - count % width + rest), all());
  all.update(0).unroll(l);
  all.update(1).unscheduled();
  for (Func stage : {lanes, folded, all})
    stage.compute_root().store_in(MemoryType::Stack);
  return all;
}

//===----------------------------------------------------------------------===//
// Norm and quantization
//===----------------------------------------------------------------------===//

void Kernels::addRmsNorm() {
  ImageParam x = row(Float(32), "x"), gain = row(Float(32), "gain");
  Param<float> epsilon("epsilon");
  Param<int> n("n");
  Var i("i");
  Func inverse = inverseRms(x, n, epsilon), out("out");
  out(i) = select(i < n, (x(i) * inverse()) * gain(i), 0.0f);
  out.output_buffer().dim(0).set_bounds(0, paddedRow(n));
  out.vectorize(i, kVector, TailStrategy::RoundUp);
  add("rms_norm", {out}, {x, gain, epsilon, n});
}

/// Heads lie side by side: what is behind one is the next one's.
void Kernels::addRmsNormHead() {
  ImageParam x = row(Float(32), "x"), gain = row(Float(32), "gain");
  Param<float> epsilon("epsilon");
  Param<int> n("n");
  Var i("i");
  auto square = [&](Expr at) { return x(at) * x(at); };
  Func partial = partialSums("squares", n / kLanes, square), tail = tailTerms("tail", n, square);
  Func both = joined(partial, tail), out("out");
  Stages stages{partial, tail, both};
  Func sum = addLanes(both, stages);
  computeRoot(stages);
  Func inverse = scalar("inverse", 1.0f / sqrt(sum(0) / cast<float>(n) + epsilon));
  out(i) = (x(i) * inverse()) * gain(i);
  out.output_buffer().dim(0).set_bounds(0, n);
  out.specialize(n >= kVector).vectorize(i, kVector, TailStrategy::ShiftInwards);
  add("rms_norm_head", {out}, {x, gain, epsilon, n});
}

/// The row that is quantized: the input, or its norm.
Func rowOf(ImageParam input, ImageParam gain, Expr n, Expr epsilon, bool normalise) {
  Var i("i");
  Func x("values_in");
  if (!normalise) {
    x(i) = input(i);
    return x;
  }
  Func inverse = inverseRms(input, n, epsilon);
  x(i) = select(i < n, (input(i) * inverse()) * gain(i), 0.0f);
  return x;
}

/// Clamped before it is rounded, which is the same and keeps the conversion defined.
Expr quantized(Expr value) {
  Expr clamped = smaller(larger(value, -128.0f), 127.0f);
  return cast<int8_t>(cast<int32_t>(roundEven(clamped)));
}

/// Zeros from `first` up to the end of the row's padding, `step` at a time.
void zeroTail(Func values, Expr first, Expr n, int step) {
  RDom rest(0, step, 0, (paddedActs(n) - first) / step);
  values(first + step * rest.y + rest.x) = cast<int8_t>(0);
  values.output_buffer().dim(0).set_bounds(0, paddedActs(n));
  values.compute_root();
  // Halide cannot see that blocks are disjoint.
  values.update(1).allow_race_conditions().vectorize(rest.x);
}

/// Minus the sum of each group of `values`. With one group, n may be any number: zeros fill the
/// last 32.
Func groupOffsets(Func values, Expr n, Expr group) {
  Var g("g"), lane("lane");
  Func perGroup("per_group"), offsets("offsets");
  RDom r(0, (group + (kLanes - 1)) / kLanes), l(0, kLanes);
  perGroup(lane, g) = 0;
  perGroup(lane, g) -= cast<int32_t>(values(g * group + 32 * r + lane));
  perGroup.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
  perGroup.update().reorder(lane, r).vectorize(lane, kVector).unroll(lane);
  perGroup.compute_at(offsets, g).store_in(MemoryType::Stack);
  offsets(g) = 0;
  offsets(g) += perGroup(l, g);
  offsets.output_buffer().dim(0).set_bounds(0, n / group);
  offsets.update().reorder(l, g).unroll(l);
  return offsets;
}

void Kernels::addQuantize(const std::string &name, bool normalise) {
  ImageParam input = row(Float(32), "x"), gain = row(Float(32), "gain");
  Param<float> epsilon("epsilon");
  Param<int> n("n"), group("group");
  Var i("i");
  Func x = rowOf(input, gain, n, epsilon, normalise), values("values"), scale("scale");
  Expr padded = paddedRow(n);
  Func top = largest(1e-5f, padded, [&](Expr at) { return abs(x(at)); });
  Func s = scalar("s", (1.0f / top()) * 127.0f);

  RDom body(0, 64, 0, padded / 64);
  Expr at = 64 * body.y + body.x;
  values(i) = undef<int8_t>();
  values(at) = quantized(x(at) * s());
  zeroTail(values, padded, n, 64);
  values.update(0).allow_race_conditions().vectorize(body.x);
  scale(i) = 1.0f / s();
  scale.output_buffer().dim(0).set_bounds(0, 1);
  scale.compute_root();
  addQuantized(name, normalise, {values, scale, groupOffsets(values, n, group)},
               {input, gain, epsilon, n, group});
}

void Kernels::addQuantizeGroups(const std::string &name, bool normalise) {
  ImageParam input = row(Float(32), "x"), gain = row(Float(32), "gain");
  Param<float> epsilon("epsilon");
  Param<int> n("n"), group("group");
  Var i("i"), g("g"), lane("lane");
  Func x = rowOf(input, gain, n, epsilon, normalise), values("values"), scales("scales");

  // One for each of its two consumers: a row of them has no fixed size.
  auto stepsOfUnit = [&](Stages &stages) {
    Func lanes("largest_lanes");
    RDom r(0, group / kLanes);
    lanes(lane, g) = 1e-5f;
    lanes(lane, g) = larger(abs(x(group * g + kLanes * r + lane)), lanes(lane, g));
    lanes.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
    lanes.update().reorder(lane, r).vectorize(lane, kVector).unroll(lane);
    stages.push_back(lanes);
    for (int width = kLanes / 2; width >= 1; width /= 2) {
      Func half("largest_" + std::to_string(width));
      half(lane, g) = larger(stages.back()(lane, g), stages.back()(lane + width, g));
      half.bound(lane, 0, width).vectorize(lane, std::min(width, kVector)).unroll(lane);
      stages.push_back(half);
    }
    Func s("s");
    s(g) = (1.0f / stages.back()(0, g)) * 127.0f;
    stages.push_back(s);
    for (Func &stage : stages)
      stage.store_in(MemoryType::Stack);
    return s;
  };

  Stages valueStages, scaleStages;
  Func valueSteps = stepsOfUnit(valueStages), scaleSteps = stepsOfUnit(scaleStages);
  RDom body(0, kLanes, 0, group / kLanes, 0, n / group);
  Expr at = group * body.z + kLanes * body.y + body.x;
  values(i) = undef<int8_t>();
  values(at) = quantized(x(at) * valueSteps(body.z));
  zeroTail(values, n, n, kLanes);
  values.update(0).allow_race_conditions().vectorize(body.x);
  for (Func &stage : valueStages)
    stage.compute_at(values, body.z);
  scales(g) = 1.0f / scaleSteps(g);
  scales.output_buffer().dim(0).set_bounds(0, n / group);
  scales.compute_root();
  for (Func &stage : scaleStages)
    stage.compute_at(scales, g);
  addQuantized(name, normalise, {values, scales, groupOffsets(values, n, group)},
               {input, gain, epsilon, n, group});
}

/// Gain and epsilon are operands of kernels that normalise.
void Kernels::addQuantized(const std::string &name, bool normalise, std::vector<Func> outputs,
                           Arguments inputs) {
  if (!normalise)
    inputs.erase(inputs.begin() + 1, inputs.begin() + 3);
  add(name, std::move(outputs), inputs);
}

//===----------------------------------------------------------------------===//
// Rotary embedding
//===----------------------------------------------------------------------===//

void Kernels::addRope() {
  // A stride must be a parameter: an expression would be read from the buffer instead.
  Param<int> heads("heads"), size("size"), half("half");
  ImageParam x(Float(32), 3, "x"), angles = matrix(Float(32), "angles", half);
  x.dim(0).set_min(0);
  x.dim(1).set_min(0).set_stride(half);
  x.dim(2).set_min(0).set_stride(size);
  Var i("i"), part("part"), head("head");
  Func out("out");
  Expr low = x(i, 0, head), high = x(i, 1, head);
  out(i, part, head) = select(part == 0, low * angles(i, 0) - high * angles(i, 1),
                              high * angles(i, 0) + low * angles(i, 1));
  OutputImageParam buffer = out.output_buffer();
  buffer.dim(0).set_bounds(0, half);
  buffer.dim(1).set_bounds(0, 2).set_stride(half);
  buffer.dim(2).set_bounds(0, heads).set_stride(size);
  out.bound(part, 0, 2).reorder(part, i, head).unroll(part);
  out.specialize(half >= kVector).vectorize(i, kVector, TailStrategy::ShiftInwards);
  add("rope", {out}, {x, angles, heads, size, half});
}

void Kernels::addRopeAngles() {
  Param<int64_t> position("position");
  Param<int> half("half");
  ImageParam frequencies = row(Float(32), "frequencies");
  Var i("i"), part("part");
  Func out("out");
  Expr angle = cast<float>(position) * frequencies(i);
  out(i, part) = select(part == 0, cosine(angle), sine(angle));
  out.output_buffer().dim(0).set_bounds(0, half);
  out.output_buffer().dim(1).set_bounds(0, 2).set_stride(half);
  out.bound(part, 0, 2).reorder(part, i).unroll(part);
  out.specialize(half >= 8).vectorize(i, 8, TailStrategy::ShiftInwards);
  add("rope_angles", {out}, {position, frequencies, half});
}

//===----------------------------------------------------------------------===//
// Elementwise work and tables
//===----------------------------------------------------------------------===//

void Kernels::addElementwise(const std::string &name, Expr (*formula)(Expr, Expr)) {
  ImageParam a = row(Float(32), "a"), b = row(Float(32), "b");
  Param<int> n("n");
  Var i("i");
  Func out("out");
  out(i) = formula(a(i), b(i));
  out.output_buffer().dim(0).set_bounds(0, paddedRow(n));
  out.vectorize(i, kVector, TailStrategy::RoundUp);
  add(name, {out}, {a, b, n});
}

void Kernels::addTableRow(const std::string &name, Element element) {
  ImageParam table = row(storage(element), "table");
  Param<int> n("n");
  Var i("i");
  Func out("out");
  out(i) = value(element, table(i), target);
  out.output_buffer().dim(0).set_bounds(0, paddedRow(n));
  out.vectorize(i, kVector, TailStrategy::RoundUp);
  add(name, {out}, {table, n});
}

void Kernels::addHead(const std::string &name, Element element) {
  Param<int> rows("rows"), stride("stride"), n("n");
  ImageParam x = row(Float(32), "x"), table = matrix(storage(element), "table", stride);
  Var v("v"), lane("lane");
  RDom r(0, paddedRow(n) / kLanes);
  Func out("out"), partial("products");
  partial(lane, v) = 0.0f;
  partial(lane, v) += x(kLanes * r + lane) * value(element, table(kLanes * r + lane, v), target);
  partial.bound(lane, 0, kLanes).vectorize(lane, kVector).unroll(lane);
  // Rows follow one another: what lies past a row's end is read next.
  partial.update()
      .reorder(lane, r, v)
      .vectorize(lane, kVector)
      .unroll(lane)
      .prefetch(table, r, r, kPrefetchBytes / (kLanes * storage(element).bytes()),
                PrefetchBoundStrategy::NonFaulting);
  Stages stages{partial};
  Func sum = addLanes(partial, stages, {v});
  for (Func &stage : stages)
    stage.compute_at(out, v).store_in(MemoryType::Stack);
  out(v) = sum(0, v);
  out.output_buffer().dim(0).set_bounds(0, rows);
  add(name, {out}, {x, table, rows, stride, n});
}

/// As addHead, for kHeadTokens rows: a piece of the table is decoded once for as many of them as
/// have registers for their sums.
void Kernels::addHeadRows(const std::string &name, Element element) {
  Param<int> rows("rows"), stride("stride"), n("n"), xStride("x_stride"), outStride("out_stride");
  ImageParam x = matrix(Float(32), "x", xStride), table = matrix(storage(element), "table", stride);
  const int tokens = target.has_feature(Target::AVX512_Skylake) ? kHeadTokens : kHeadTokens / 2;
  Var v("v"), t("t"), lane("lane"), group("group"), token("token");
  RDom r(0, paddedRow(n) / kLanes);
  Func out("out"), partial("products");
  partial(lane, t, v) = 0.0f;
  partial(lane, t, v) +=
      x(kLanes * r + lane, t) * value(element, table(kLanes * r + lane, v), target);
  partial.bound(lane, 0, kLanes).bound_extent(t, tokens);
  partial.vectorize(lane, kVector).unroll(lane).unroll(t);
  partial.update()
      .reorder(lane, t, r, v)
      .vectorize(lane, kVector)
      .unroll(lane)
      .unroll(t)
      .prefetch(table, r, r, kPrefetchBytes / (kLanes * storage(element).bytes()),
                PrefetchBoundStrategy::NonFaulting);
  Stages stages{partial};
  Func sum = addLanes(partial, stages, {t, v});
  out(v, t) = sum(0, t, v);
  out.bound(t, 0, kHeadTokens).split(t, group, token, tokens).reorder(token, group, v);
  out.unroll(token);
  for (Func &stage : stages)
    stage.compute_at(out, group).store_in(MemoryType::Stack);
  out.output_buffer().dim(0).set_bounds(0, rows);
  out.output_buffer().dim(1).set_bounds(0, kHeadTokens).set_stride(outStride);
  add(name, {out}, {x, table, xStride, rows, stride, n, outStride});
}

void Kernels::addZeroPadding() {
  Param<int> n("n");
  Var i("i");
  Func out("out");
  RDom r(n, paddedRow(n) - n);
  out(i) = undef<float>();
  out(r) = 0.0f;
  out.output_buffer().dim(0).set_bounds(0, paddedRow(n));
  add("zero_padding", {out}, {n});
}

Expr relu2(Expr gate, Expr up) {
  Expr r = larger(gate, 0.0f);
  return (r * r) * up;
}

Expr silu(Expr gate, Expr up) { return (gate / (1.0f + exponential(0.0f - gate))) * up; }

Expr sum(Expr left, Expr right) { return left + right; }

void Kernels::addAll() {
  addRmsNorm();
  addRmsNormHead();
  addQuantize("quantize_row", false);
  addQuantize("norm_quantize_row", true);
  addQuantizeGroups("quantize_groups", false);
  addQuantizeGroups("norm_quantize_groups", true);
  addRope();
  addRopeAngles();
  addElementwise("gated_relu2", relu2);
  addElementwise("gated_silu", silu);
  addElementwise("add", sum);
  addTableRow("table_row_f32", Element::F32);
  addTableRow("table_row_f16", Element::F16);
  addTableRow("table_row_bf16", Element::BF16);
  addHead("head_f32", Element::F32);
  addHead("head_f16", Element::F16);
  addHead("head_bf16", Element::BF16);
  addHeadRows("head_rows_f32", Element::F32);
  addHeadRows("head_rows_f16", Element::F16);
  addHeadRows("head_rows_bf16", Element::BF16);
  addZeroPadding();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s <halide target> <output.bc>\n", argv[0]);
    return 2;
  }
  Kernels kernels{Target(argv[1])};
  kernels.addAll();
  kernels.write(argv[2]);
  return 0;
}
