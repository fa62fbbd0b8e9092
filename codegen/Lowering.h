//===- Lowering.h - packed functions to SPMD code, shared parts -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to LowerToLLVM.cpp, LowerFunctions.cpp, LowerValues.cpp, LowerProbes.cpp, LowerCalls.cpp,
// LowerHead.cpp, LowerBatch.cpp, LowerAttention.cpp and LowerOps.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_LOWERING_H
#define TERN_CODEGEN_LOWERING_H

#include "codegen/Places.h"
#include "codegen/Target.h"
#include "dialect/Product.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <optional>

namespace tern {

enum class RowKernel;

/// What lowering one module shares between its functions.
struct ModuleLowering {
  mlir::ModuleOp module;
  const Target &target;
  /// Base of each argument of a function, null entry for indices; set by its first call.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<std::optional<Base>>> argumentBases{};
  llvm::StringMap<int64_t> sections{}; ///< of weights, by symbol
  int64_t cacheBlockBytes = 0;         ///< of all caches: from one block to the next
  int64_t nextRoot = 0;
  int64_t nextGlobal = 0;
  int64_t maxRows = 0;
};

/// Lowers one function. Failures have been reported at their op.
class FunctionLowering {
public:
  FunctionLowering(ModuleLowering &shared, mlir::func::FuncOp source);
  mlir::LogicalResult run();

private:
  // LowerFunctions.cpp: prologue, arguments, results, ops that are no phase.
  mlir::LogicalResult prologue();
  mlir::LogicalResult entryArguments();
  mlir::LogicalResult entryTensor(mlir::BlockArgument argument, int64_t offset, int64_t input,
                                  mlir::Value rows);
  mlir::LogicalResult blockArguments();
  void copyIn(int64_t input, Place place, mlir::RankedTensorType type);
  mlir::LogicalResult lowerOp(mlir::Operation *op);
  mlir::LogicalResult lowerView(mlir::Operation *op);
  mlir::LogicalResult lowerReturn(mlir::func::ReturnOp op);
  void copyOut(mlir::Value value, int64_t result, Region::Space space);

  // LowerValues.cpp: places, pointers, phases.
  mlir::LogicalResult lowerSlice(mlir::tensor::ExtractSliceOp op);
  mlir::LogicalResult placeResults(mlir::Operation *op, mlir::Value rows);
  mlir::Value resultOffset(int64_t result);
  bool placeReturned(mlir::OpResult result, Place &place);
  mlir::Value constant(int64_t value);
  mlir::Value pointer(const Place &place);
  mlir::Value row(mlir::Value base, const Place &place, mlir::Value index);
  Access reads(mlir::Value value, bool byRow);
  Access writes(mlir::Value value, bool byRow);
  void phase(llvm::ArrayRef<Access> accesses);
  /// Says at run time that this thread begins `what`; nothing unless the module has probes.
  void probe(mlir::Value what, mlir::Value rows);
  void probe(uint32_t what);
  /// The same for the op that is being lowered.
  void probeOp();
  /// This thread's part of `count` items: ceil(count * t / T) .. ceil(count * (t + 1) / T).
  std::pair<mlir::Value, mlir::Value> split(mlir::Value count);
  /// Calls of `body(begin, end)` that cover all of `count` items, each by one thread; to be used
  /// once a phase. Most items are dealt out beforehand, in one stretch a thread; the rest goes
  /// piece by piece to whoever is done first.
  void share(mlir::Value count, llvm::function_ref<void(mlir::Value, mlir::Value)> body);
  mlir::Value drawTicket();
  /// `body(m)` for this thread's rows.
  void eachRow(mlir::Value rows, llvm::function_ref<void(mlir::Value)> body);
  void copyFloats(mlir::Value from, mlir::Value to, int64_t count);
  void rowKernel(RowKernel kernel, mlir::ValueRange operands);

  // LowerBatch.cpp: rows of several sequences.
  /// Where a row of the call is in its sequence, and where that has its caches.
  struct Sequence {
    mlir::Value position, kv;
  };
  /// Of row `m` of a call whose first row is at `position`, or of a batch.
  Sequence sequenceOf(mlir::Value m, mlir::Value position);
  mlir::Value cachePointer(const Place &cache, const Sequence &sequence);

  // LowerCalls.cpp: runs of calls over tables.
  struct CallRun;
  mlir::LogicalResult lowerCall(mlir::func::CallOp op);
  mlir::LogicalResult callArguments(mlir::func::CallOp op, CallRun &call,
                                    llvm::SmallVectorImpl<Place> &tensors);
  mlir::LogicalResult callResults(mlir::func::CallOp op, mlir::func::FuncOp callee,
                                  llvm::SmallVectorImpl<Place> &tensors);
  void flushCalls();
  void emitCallBody(mlir::Value rowPointer, mlir::Value index);
  void emitTableLoop();

  // LowerOps.cpp: one phase or two for each op.
  mlir::LogicalResult lowerTernary(mlir::Operation *op);
  mlir::LogicalResult lower(ternary::QuantizeRowsOp op);
  mlir::LogicalResult lower(ternary::Product op);
  mlir::LogicalResult lower(ternary::RmsNormOp op);
  mlir::LogicalResult lower(ternary::RopeAnglesOp op);
  mlir::LogicalResult lower(ternary::RopeOp op);
  mlir::LogicalResult lower(ternary::AttentionOp op);
  mlir::LogicalResult lower(ternary::GatedActivationOp op);
  mlir::LogicalResult lower(ternary::EmbeddingOp op);
  mlir::LogicalResult lower(ternary::HeadOp op);
  mlir::LogicalResult lower(mlir::arith::AddFOp op);
  void fullHead(ternary::HeadOp op);
  /// The kernel of a table's element type, f32, f16 or bf16 in this order from `first` on.
  static RowKernel ofElement(RowKernel first, mlir::Value table);

  // LowerHead.cpp: logits from a table in integers, and the largest ones in two stages. `r` is a
  // row of the chunk, `at` a block of the integers.
  struct HeadChunks;
  HeadChunks prepareChunks(ternary::HeadOp op, mlir::Value integers);
  void eachChunk(HeadChunks &chunks, llvm::function_ref<void(mlir::Value)> body);
  void eachChunkRow(const HeadChunks &chunks, llvm::function_ref<void(mlir::Value)> body);
  mlir::Value headInput(const HeadChunks &chunks, mlir::Value r);
  mlir::Value headResult(const HeadChunks &chunks, mlir::Value r);
  void splitRow(const HeadChunks &chunks, mlir::Value r);
  mlir::Value rowFacts(const HeadChunks &chunks, mlir::Value r);
  void storeHeadArgs(const HeadChunks &chunks);
  void screenBlocks(const HeadChunks &chunks);
  void multiplyBlock(const HeadChunks &chunks, mlir::Value at);
  mlir::Value sumParts(const HeadChunks &chunks, mlir::Value at, mlir::Value r, mlir::Value lowsAt);
  void storeBlock(const HeadChunks &chunks, mlir::Value r, mlir::Value block, mlir::Value values);
  mlir::Value bestSlot(const HeadChunks &chunks, mlir::Value r, mlir::Value thread);
  mlir::Value lowestBound(const HeadChunks &chunks, mlir::Value r);
  void computeRest(const HeadChunks &chunks, mlir::Value r, mlir::Value bound);
  /// Memory of this call and thread, 64-byte aligned.
  mlir::Value stack(int64_t bytes);
  void barrier();

  void storeKernelArgs(ternary::Product op, ternary::PackingAttr packing, bool residual);
  void callKernel(mlir::Value rows, llvm::StringRef gemv, llvm::StringRef gemm);
  void padRows(const Place &place, int64_t columns);
  void addInPlace(const Place &residual, const Place &out, int64_t columns);

  struct Attention; // LowerAttention.cpp

  /// Calls of one callee that differ in their table rows only.
  struct CallRun {
    mlir::func::FuncOp callee;
    llvm::SmallVector<mlir::Value> scalars; ///< indices and row counts, the same in all calls
    llvm::SmallVector<llvm::SmallVector<int64_t>> table;
    llvm::SmallVector<mlir::Value> dynamicRow; ///< not empty: one call, offsets not constant
    int64_t firstProbe = 0;                    ///< number of the first call; the others' follow
  };

  ModuleLowering &shared;
  mlir::func::FuncOp source;
  bool isEntry;
  mlir::LLVM::LLVMFuncOp target;
  CodeBuilder b;
  mlir::Value frame, thread, tableRow, localBase;
  mlir::Value thread64, threads, arena, weights, kv, batch, kernelArgs;
  llvm::DenseMap<mlir::Value, Place> places;
  llvm::DenseMap<mlir::Value, mlir::Value> scalars;
  llvm::DenseMap<int64_t, mlir::Value> constants;
  llvm::DenseMap<mlir::Value, unsigned> returned; ///< written straight to result i
  mlir::Operation *firstOp = nullptr;             ///< constants go before it
  PhaseTracker tracker;
  mlir::Operation *current = nullptr; ///< being lowered: an op, or the function in its prologue
  std::optional<CallRun> run_;
};

/// Attribute of a head with a table in integers: the kernel of each of their parts.
constexpr char kHeadKernels[] = "ternary.head_kernels";

/// Symbol of the block function made from `function`.
std::string blockSymbol(mlir::func::FuncOp function);
/// Parameters of a block function: frame, thread, table row, arena base; then for each argument its
/// index value or, for a tensor that is no weight, its row count.
mlir::LLVM::LLVMFunctionType blockFunctionType(mlir::func::FuncOp function,
                                               llvm::ArrayRef<std::optional<Base>> bases);
/// The function that `ternary.entry` marks; an error at the module if there is not exactly one.
mlir::FailureOr<mlir::func::FuncOp> findEntry(mlir::ModuleOp module);

} // namespace tern

#endif // TERN_CODEGEN_LOWERING_H
